/** Symbols to pixels: the graph of a family by onnxruntime-web, on its WASM backend, in tiles. */

import { tiles } from "./tiles.js";
/** @import { Family } from "./families.js" */

/** Pixels that a tile may see: of more, memory would be more than a phone has. */
const AREA = 1024 * 1024;

/** Draws pictures of one family. */
export class Painter {
  /**
   * @param {any} ort the module of onnxruntime-web
   * @param {any} session
   * @param {Family} family
   */
  constructor(ort, session, family) {
    this.ort = ort;
    this.session = session;
    this.family = family;
  }

  /**
   * With the graph and the weights of a family, which are checked. Throws WeightsError.
   * @param {any} ort
   * @param {Family} family
   */
  static async of(ort, family) {
    const { name, tensors } = family.graph;
    const session = await ort.InferenceSession.create(family.weights.read(name), {
      executionProviders: ["wasm"],
      externalData: [{ path: tensors, data: family.weights.read(tensors) }],
      graphOptimizationLevel: "disabled", // the graph is an optimised one
      logSeverityLevel: 4,
    });
    return new Painter(ort, session, family);
  }

  /**
   * `width` x `height` pixels of three bytes. `onTile` is called before each tile with the share
   * that is done, and may throw to end the work.
   * @param {any} symbols
   * @param {{ width: number, height: number }} size of the picture as it is coded
   * @param {number} fidelity 0..1
   * @param {{ area?: number, onTile?: (done: number) => Promise<void> }} [options]
   */
  async paint(symbols, { width, height }, fidelity, { area = AREA, onTile } = {}) {
    const padded = this.family.padded(symbols);
    const pixels = new Uint8Array(width * height * 3);
    const parts = tiles(padded.height, padded.width, area);
    for (const [k, tile] of parts.entries()) {
      await onTile?.(k / parts.length);
      const feeds = Object.entries(this.family.feeds(symbols, tile, fidelity));
      const tensors = feeds.map(([name, found]) => [name, new this.ort.Tensor(...found)]);
      const { pixels: drawn } = await this.session.run(Object.fromEntries(tensors));
      tile.paste(pixels, drawn.data, width, height, 3);
      drawn.dispose();
    }
    return pixels;
  }
}
