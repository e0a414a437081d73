/** The families, each a class; one more is a module, a line here and an id in registry.js. */

import { MissingWeightsError, UnknownModelError } from "./errors.js";
import { Hdc } from "./hdc.js";
import { MODELS } from "./registry.js";
import { Sprdiff } from "./sprdiff.js";
/** @import { Header } from "./header.js" */
/** @import { Decoder } from "./range.js" */
/** @import { Tile } from "./tiles.js" */
/** @import { Weights } from "./weights.js" */

/**
 * What a graph takes: name of an input to its type, its numbers and their shape.
 * @typedef {Record<string, [string, ArrayBufferView, number[]]>} Feeds
 */

/**
 * What a family offers to everything else; its symbols are its own.
 * @typedef {object} Family
 * @property {(header: Header) => void} check
 * throws CorruptError for parameters that no file may have
 * @property {(width: number, height: number) => number} leastPayload
 * the fewest bytes that a range stream may have for a picture coded at that size
 * @property {(header: Header, width: number, height: number, decoder: Decoder) => any} symbols
 * what a decoder reads; throws CorruptError, TruncatedError, WeightsError
 * @property {(symbols: any) => string} sha256
 * a hash of all symbols, for comparing decoders
 * @property {(header: Header, symbols: any, payload: number) => Record<string, unknown>} facts
 * what `info` tells of a file beside what all families have
 * @property {number} fidelity
 * 0..1, with which a picture is drawn unless asked otherwise
 * @property {Weights} weights
 * @property {{ name: string, tensors: string }} graph
 * what draws pixels: a graph beside the weights, and the file that it takes its weights from
 * @property {(symbols: any) => { width: number, height: number }} padded
 * the size of the picture that the graph draws
 * @property {(symbols: any, tile: Tile, fidelity: number) => Feeds} feeds
 * what the graph takes for what a tile sees; fidelity 0..1
 */

/** @type {ReadonlyMap<string, new (weights: Weights) => Family>} */
export const FAMILIES = new Map(Object.entries({ hdc: Hdc, sprdiff: Sprdiff }));

/** The families whose weights are there, by model id. */
export class Models {
  constructor() {
    /** @type {Map<number, Family>} */
    this.found = new Map();
  }

  /**
   * Make files with these weights readable. Throws UnknownModelError for weights of no registered
   * model.
   * @param {Weights} weights
   */
  add(weights) {
    const family = FAMILIES.get(MODELS.get(weights.modelId)?.family ?? "");
    if (!family) {
      throw new UnknownModelError(`model ${weights.modelId} is not known to this release`);
    }
    this.found.set(weights.modelId, new family(weights));
  }

  /**
   * The family of a model. Throws MissingWeightsError.
   * @param {number} id registered
   */
  open(id) {
    const found = this.found.get(id);
    if (found) return found;
    const model = MODELS.get(id);
    throw new MissingWeightsError(
      `the weights of model ${id} (${model?.family}) are not installed: ` +
        `they come with hdcodec ${model?.release}`,
    );
  }
}
