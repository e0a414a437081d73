/** The worker, as functions of the page. */

import { SiteError } from "./site.js";

/**
 * @typedef {object} Waiting
 * @property {(found: any) => void} resolve
 * @property {(fault: Error) => void} reject
 * @property {((done: number) => void) | undefined} onDone
 */

/** Decodes files in a worker, one after the other. */
export class Decoder {
  /** @param {(loaded: number, all: number) => void} onLoading */
  constructor(onLoading) {
    this.onLoading = onLoading;
    this.number = 0;
    /** @type {Map<number, Waiting>} */
    this.waiting = new Map();
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      const reason = event.message ?? "it is missing";
      const fault = new SiteError(`the decoder does not start: ${reason}`);
      for (const { reject } of this.waiting.values()) reject(fault);
      this.waiting.clear();
    };
  }

  /** @param {any} data */
  hear({ number, done, found, error, loading }) {
    if (loading) {
      this.onLoading(loading.loaded, loading.all);
      return;
    }
    const waiting = this.waiting.get(number);
    if (!waiting) return;
    if (done !== undefined) {
      waiting.onDone?.(done);
      return;
    }
    this.waiting.delete(number);
    if (!error) waiting.resolve(found);
    else waiting.reject(Object.assign(new Error(error.message), { name: error.name }));
  }

  /**
   * @param {string} task
   * @param {Record<string, unknown>} given
   * @param {(done: number) => void} [onDone]
   * @returns {Promise<any>}
   */
  ask(task, given, onDone) {
    const number = ++this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject, onDone });
      this.worker.postMessage({ number, task, ...given });
    });
  }

  /**
   * Read the symbols of a file, which is `key` from then on.
   * @param {string} key
   * @param {Uint8Array} bytes
   * @param {boolean} partial
   */
  open(key, bytes, partial) {
    return this.ask("open", { key, bytes, partial });
  }

  /**
   * Its picture; null where another painting of it was asked for meanwhile.
   * @param {string} key
   * @param {number} fidelity
   * @param {(done: number) => void} onDone
   */
  paint(key, fidelity, onDone) {
    return this.ask("paint", { key, fidelity }, onDone);
  }

  /**
   * The last picture of a file as PNG.
   * @param {string} key
   * @returns {Promise<Blob | null>}
   */
  png(key) {
    return this.ask("png", { key });
  }

  /** @param {string} key */
  forget(key) {
    this.worker.postMessage({ task: "forget", key });
  }
}
