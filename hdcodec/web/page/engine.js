/** What decodes: the models of the site, and the runtime that draws their pixels. */

import { unpacked } from "../eight.js";
import { Models, Painter, Weights, codedSize, readSymbols, unpack } from "../index.js";
import { SiteError, fromBase64 } from "./site.js";
/** @import { Site } from "./site.js" */

const RUNTIME = "../runtime/ort.js";
const WASM = "runtime/ort.wasm";
const EIGHT_BITS = ".8bit";
const MOST_THREADS = 4;
const SHRINK = 4;
/** A mean is taken over so many values at least. */
const FEWEST = 64;

/** Loads each model once, in two steps: what symbols take, then what pixels take. */
export class Engine {
  /** @param {Site} site */
  constructor(site) {
    this.site = site;
    this.models = new Models();
    /** @type {Map<number, Map<string, Uint8Array>>} */
    this.files = new Map();
    /** @type {Map<number, Promise<Painter>>} */
    this.painters = new Map();
    /** @type {Promise<any> | null} */
    this.runtime = null;
  }

  /**
   * Make the symbols of a model readable.
   * @param {number} model a registered one
   */
  async open(model) {
    const paths = this.site.list.models[model];
    if (!paths || this.files.has(model)) return;
    const [manifest, ...others] = paths;
    /** @type {Map<string, Uint8Array>} */
    const files = new Map();
    const told = await this.site.read(manifest);
    await this.fill(files, others.filter((path) => path.endsWith("entropy.safetensors")));
    this.models.add(new Weights(told, files));
    this.files.set(model, files);
  }

  /**
   * @param {Map<string, Uint8Array>} files
   * @param {string[]} paths
   */
  async fill(files, paths) {
    const read = async (/** @type {string} */ path) => {
      const data = await this.site.read(path);
      files.set(nameOf(path), path.endsWith(EIGHT_BITS) ? unpacked(data) : data);
    };
    await Promise.all(paths.map(read));
  }

  /**
   * What draws the pixels of a model, once this browser has drawn a stored picture as it should.
   * @param {number} model
   */
  painter(model) {
    const found = this.painters.get(model) ?? this.load(model);
    this.painters.set(model, found);
    found.catch(() => this.painters.delete(model)); // so that it is tried again
    return found;
  }

  /** @param {number} model */
  async load(model) {
    await this.open(model);
    const family = this.models.open(model);
    const files = /** @type {Map<string, Uint8Array>} */ (this.files.get(model));
    const paths = this.site.list.models[model].slice(1);
    this.runtime ??= this.start();
    this.runtime.catch(() => (this.runtime = null));
    const missing = paths.filter((path) => !files.has(nameOf(path)));
    const [ort] = await Promise.all([this.runtime, this.fill(files, missing)]);
    const painter = await Painter.of(ort, family);
    files.delete(family.graph.tensors); // the session has a copy of its own
    await this.check(model, painter);
    return painter;
  }

  /** onnxruntime-web on its WASM backend, with threads where the page is isolated. */
  async start() {
    const address = new URL(RUNTIME, import.meta.url).href;
    const [ort, binary] = await Promise.all([import(address), this.site.read(WASM)]);
    const threads = globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
    ort.env.wasm.numThreads = Math.min(threads || 1, MOST_THREADS);
    ort.env.wasm.wasmBinary = binary;
    return ort;
  }

  /**
   * Compare a picture at a quarter of its size with what it should be, as the conformance suite
   * does. Throws SiteError.
   * @param {number} model
   * @param {Painter} painter
   */
  async check(model, painter) {
    const { file, pixels, mean, worst } = this.site.list.checks[model];
    const box = unpack(fromBase64(file));
    const size = codedSize(box.header);
    const { fidelity } = this.models.open(model);
    const drawn = await painter.paint(readSymbols(box, this.models), size, fidelity);
    const [found, wanted] = [shrunk(drawn, size.width, size.height), fromBase64(pixels)];
    const gaps = found.map((value, at) => Math.abs(value - wanted[at]));
    const sum = gaps.reduce((one, other) => one + other, 0);
    const most = Math.max(...gaps);
    const average = sum / Math.max(gaps.length, FEWEST);
    if (found.length !== wanted.length || !(average <= mean && most <= worst)) {
      throw new SiteError(
        `this browser draws other pixels than it should: off by ${average.toFixed(2)} in the ` +
          `mean and ${most} at worst`,
      );
    }
  }
}

/**
 * What a file is called beside its manifest, once it is there.
 * @param {string} path
 */
function nameOf(path) {
  return path.slice(path.lastIndexOf("/") + 1).replace(EIGHT_BITS, ".safetensors");
}

/**
 * Means of 4 x 4 pixels, of three bytes each.
 * @param {Uint8Array} pixels
 * @param {number} width a multiple of 4
 * @param {number} height a multiple of 4
 */
function shrunk(pixels, width, height) {
  const found = [];
  for (let row = 0; row < height; row += SHRINK) {
    for (let column = 0; column < width; column += SHRINK) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < SHRINK * SHRINK; k++) {
          const place = (row + (k >> 2)) * width + column + (k & 3);
          sum += pixels[3 * place + c];
        }
        found.push(Math.floor(sum / (SHRINK * SHRINK) + 0.5));
      }
    }
  }
  return found;
}
