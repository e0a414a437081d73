/** The weights of a family as they were fetched, and that they are the ones that were shipped. */

import { WeightsError } from "./errors.js";
import { isObject } from "./safetensors.js";
import { sha256 } from "./sha256.js";

const MANIFEST = "manifest.json";

/** A manifest, and the files beside it that are there. */
export class Weights {
  /**
   * Throws WeightsError where the manifest is none.
   * @param {Uint8Array} manifest
   * @param {ReadonlyMap<string, Uint8Array>} files name to content
   */
  constructor(manifest, files) {
    const found = parsed(manifest);
    if (!isObject(found) || !Number.isInteger(found.model_id) || !isObject(found.files)) {
      throw new WeightsError(`${MANIFEST} is not a manifest of weights`);
    }
    /** @type {number} */
    this.modelId = found.model_id;
    this.entries = { ...found.files, ...(isObject(found.graphs) && found.graphs) };
    this.config = isObject(found.config) ? found.config : {};
    this.files = files;
  }

  /**
   * A size of the networks, by its name after that of the part it belongs to. Throws WeightsError.
   * @param {...string} names
   * @returns {number}
   */
  size(...names) {
    /** @type {any} */
    let found = this.config;
    for (const name of names) {
      found = isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
    }
    if (Number.isInteger(found) && found > 0) return found;
    throw new WeightsError(`${MANIFEST} is not a manifest of weights`);
  }

  /**
   * A file after checking its size and its hash. Throws WeightsError.
   * @param {string} name
   */
  read(name) {
    const entry = Object.hasOwn(this.entries, name) ? this.entries[name] : undefined;
    if (!isObject(entry)) throw new WeightsError(`${MANIFEST} does not list ${name}`);
    const data = this.files.get(name);
    if (!data) throw new WeightsError(`weights file ${name} is missing`);
    if (data.length !== entry.bytes || sha256(data) !== entry.sha256) {
      throw new WeightsError(`weights file ${name} is not the one that was shipped`);
    }
    return data;
  }
}

/**
 * @param {Uint8Array} manifest
 * @returns {unknown}
 */
function parsed(manifest) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(manifest));
  } catch {
    throw new WeightsError(`${MANIFEST} cannot be read: it is no JSON`);
  }
}
