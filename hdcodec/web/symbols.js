/** The symbols of the `hdc` family, in the order of the range stream. */

import { POSITIONS, bands, joined, runBand } from "./bands.js";
import { LatentReader, sha256Of } from "./latents.js";
import { IntNet } from "./network.js";
import { Softmax } from "./tables.js";
/** @import { Band } from "./bands.js" */
/** @import { LatentSymbols } from "./latents.js" */
/** @import { Field } from "./layers.js" */
/** @import { Decoder } from "./range.js" */
/** @import { Tensors } from "./safetensors.js" */

/** Latents per hyper-latent along a side. */
const HYPER_STRIDE = 4;
export const KEPT_STEPS = 15;

/**
 * What a file says, exactly: also `indices`, -1 where the index was not sent, and `keptIndices`, how
 * many were. What z and y, and what indices cost is in 1/256 bit.
 * @typedef {LatentSymbols & {
 *   indices: Int32Array, keptIndices: number, licUnits: number, vqUnits: number
 * }} HdcSymbols
 */

/** The integer networks and tables of one set of weights. */
export class SymbolCodec extends LatentReader {
  /**
   * Throws WeightsError for tensors that do not fit one another.
   * @param {Tensors} tensors
   * @param {number} positions of a band on which networks run, at least
   */
  constructor(tensors, positions = POSITIONS) {
    super(tensors, HYPER_STRIDE, positions);
    this.prior = new IntNet(tensors, "prior", this.context.channels + this.hyper.outputs);
    this.softmax = new Softmax(tensors, this.prior.outputs);
  }

  /**
   * Read one picture of `rows` x `columns` hyper-latents. Throws CorruptError, and TruncatedError
   * where a beginning of a file has too little.
   * @param {Decoder} decoder
   * @param {number} rows
   * @param {number} columns
   * @param {number} quality 0..200
   * @param {number} kept code 0..15 of the share of indices that were sent
   * @param {boolean} mapped whether there is a map of qualities
   * @returns {HdcSymbols}
   */
  read(decoder, rows, columns, quality, kept, mapped) {
    const { found, hyper } = this.readLatents(decoder, rows, columns, quality, mapped);
    const licUnits = decoder.units;
    const positions = found.latent.height * found.latent.width;
    const count = Math.floor((2 * kept * kept * positions + 225) / (2 * KEPT_STEPS * KEPT_STEPS));
    const indices = this.readIndices(decoder, found.latent, hyper, count);
    const vqUnits = decoder.units - licUnits;
    return { ...found, indices, keptIndices: count, licUnits, vqUnits };
  }

  /**
   * @param {Decoder} decoder
   * @param {Field} latent
   * @param {Field} hyper
   * @param {number} count how many indices were sent
   */
  readIndices(decoder, latent, hyper, count) {
    const { height, width } = latent;
    const indices = new Int32Array(height * width).fill(-1);
    if (!count) return indices;
    const { softmax } = this;
    const parts = bands(height, width, HYPER_STRIDE, this.positions);
    const read = (/** @type {Band} */ seen) => joined([latent, hyper], seen);
    /** @type {Int16Array | null} of the only band, which is not computed again */
    let only = null;
    const logits = (/** @type {Band} */ band) =>
      only ?? runBand(this.prior, band, height, read).values;
    const top = new Float64Array(indices.length);
    for (const band of parts) {
      const found = logits(band);
      if (parts.length === 1) only = found;
      for (let n = band.start * width; n < band.stop * width; n++) {
        top[n] = softmax.read(found, (n - band.start * width) * softmax.codes);
      }
    }
    const kept = mostUncertain(top, count);
    for (const band of parts) {
      const before = band.start * width;
      const own = kept.subarray(before, band.stop * width);
      if (own.includes(1)) this.readRows(decoder, logits(band), own, indices.subarray(before));
    }
    return indices;
  }

  /**
   * @param {Decoder} decoder
   * @param {Int16Array} logits
   * @param {Uint8Array} kept
   * @param {Int32Array} indices
   */
  readRows(decoder, logits, kept, indices) {
    const { softmax } = this;
    for (let n = 0; n < kept.length; n++) {
      if (!kept[n]) continue;
      softmax.read(logits, n * softmax.codes);
      indices[n] = decoder.symbol(softmax.sums, 0, softmax.codes);
    }
    decoder.check();
  }
}

/**
 * 1 at the `count` positions whose largest frequency is smallest, of equal ones the earlier.
 * @param {Float64Array} top below 2**24 each; fewer than 2**25 positions
 * @param {number} count
 */
function mostUncertain(top, count) {
  const kept = new Uint8Array(top.length);
  const places = top.map((frequency, n) => frequency * 2 ** 25 + n).sort();
  for (const place of places.subarray(0, count)) kept[place % 2 ** 25] = 1;
  return kept;
}

/**
 * A hash of all symbols, for comparing decoders.
 * @param {HdcSymbols} symbols
 */
export function symbolsSha256({ offsets, z, y, indices }) {
  return sha256Of([...(offsets ? [offsets] : []), z, y, indices]);
}
