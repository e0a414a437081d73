/** The files of the site: fetched once, then kept by the browser where it can. */

/** A file of the site is not there, or not as it was written. */
export class SiteError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "SiteError";
  }
}

const ROOT = new URL("../", import.meta.url);
const LIST = "site.json";
const STORES = `hdc ${ROOT.pathname} `;

/**
 * What `hdc web` says of the site: files by path with their sizes; what each model takes, and a
 * picture of each to check this browser with.
 * @typedef {object} List
 * @property {string} version
 * @property {Record<string, number>} files
 * @property {Record<string, string[]>} models
 * @property {Record<string, { file: string, pixels: string, mean: number, worst: number }>} checks
 */

/** The files of one version of the site. */
export class Site {
  /**
   * @param {List} list
   * @param {Cache | null} store
   */
  constructor(list, store) {
    this.list = list;
    this.store = store;
    this.wanted = 0;
    this.loaded = 0;
    /** @type {(loaded: number, wanted: number) => void} */
    this.onProgress = () => {};
  }

  /** The site as it is now; without a network as it was stored. */
  static async open() {
    const response = await fetched(new URL(LIST, ROOT), { cache: "no-cache" });
    /** @type {List} */
    const list = await response.json();
    const store = globalThis.caches ? await caches.open(STORES + list.version) : null;
    return new Site(list, store);
  }

  /**
   * The content of a file. Throws SiteError.
   * @param {string} path
   * @returns {Promise<Uint8Array>}
   */
  async read(path) {
    const size = this.list.files[path];
    if (size === undefined) throw new SiteError(`${path} is not part of this site`);
    this.wanted += size;
    try {
      return await this.received(path, size);
    } catch (fault) {
      this.wanted -= size;
      this.onProgress(this.loaded, this.wanted);
      throw fault;
    }
  }

  /**
   * From the store or from the network.
   * @param {string} path
   * @param {number} size
   */
  async received(path, size) {
    const address = new URL(`${path}?${this.list.version}`, ROOT); // no store has another of it
    const kept = await this.store?.match(address);
    const data = await this.collected(kept ?? (await fetched(address)), size);
    if (data.length !== size) {
      throw new SiteError(`${path} has ${data.length} bytes, not ${size}: load the page again`);
    }
    if (!kept) await this.keep(address, data);
    return data;
  }

  /**
   * The body of an answer, with progress.
   * @param {Response} response
   * @param {number} size
   */
  async collected(response, size) {
    const reader = response.body?.getReader();
    if (!reader) return new Uint8Array(await response.arrayBuffer());
    const data = new Uint8Array(size);
    let at = 0;
    for (;;) {
      const { value } = await reader.read();
      if (!value) return data.subarray(0, at);
      if (at + value.length > size) {
        await reader.cancel();
        return new Uint8Array(0);
      }
      data.set(value, at);
      at += value.length;
      this.loaded += value.length;
      this.onProgress(this.loaded, this.wanted);
    }
  }

  /**
   * A full disk, or a browser that keeps nothing, is no fault.
   * @param {URL} address
   * @param {Uint8Array} data
   */
  async keep(address, data) {
    const body = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (data)]);
    await this.store?.put(address, new Response(body)).catch(() => {});
  }
}

/**
 * Throws SiteError where there is none.
 * @param {URL} address of the same origin
 * @param {RequestInit} [options]
 */
export async function fetched(address, options) {
  const refusal = (/** @type {unknown} */ reason) =>
    new SiteError(`${address.pathname} cannot be fetched: ${reason}`);
  const response = await fetch(address, { redirect: "error", ...options }).catch((fault) => {
    throw refusal(fault.message);
  });
  if (!response.ok) throw refusal(response.status);
  return response;
}

/** @param {string} text */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
}
