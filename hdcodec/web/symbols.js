/** The symbols of the `hdc` family, in the order of the range stream. */

import { POSITIONS, bands, joined, runBand } from "./bands.js";
import { FourParts, ONE, readGaussian } from "./context.js";
import { TruncatedError, WeightsError } from "./errors.js";
import { HIGH } from "./layers.js";
import { IntNet } from "./network.js";
import { readOffsets } from "./offsets.js";
import { Sha256 } from "./sha256.js";
import { Levels, QUALITIES, Softmax, gaussianSums } from "./tables.js";
/** @import { Band } from "./bands.js" */
/** @import { Field } from "./layers.js" */
/** @import { Decoder } from "./range.js" */
/** @import { Tensors } from "./safetensors.js" */

/** Latents per hyper-latent along a side. */
const HYPER_STRIDE = 4;
const QINDEX_PER_OFFSET = 10;
export const KEPT_STEPS = 15;
/** Numbers that are hashed at once. */
const PIECE = 16384;

/**
 * What a file says, exactly. `qindex` 0..200 and `offsets`, the map, if there is one, are of
 * `rows` x `columns` tiles of 64 x 64 pixels; `z` and `y` are symbols, `latent` what `y` decodes to
 * in units of 2**-10; `indices` are -1 where the index was not sent, `keptIndices` how many were.
 * What z and y, and what indices cost is in 1/256 bit.
 * @typedef {object} HdcSymbols
 * @property {number} rows
 * @property {number} columns
 * @property {Uint8Array} qindex
 * @property {Int8Array | null} offsets
 * @property {Int8Array} z
 * @property {Int8Array} y
 * @property {Field} latent
 * @property {Int32Array} indices
 * @property {number} keptIndices
 * @property {number} licUnits
 * @property {number} vqUnits
 */

/** The integer networks and tables of one set of weights. */
export class SymbolCodec {
  /**
   * Throws WeightsError for tensors that do not fit one another.
   * @param {Tensors} tensors
   * @param {number} positions of a band on which networks run, at least
   */
  constructor(tensors, positions = POSITIONS) {
    this.positions = positions;
    this.gaussians = gaussianSums(tensors);
    this.quality = new Levels(tensors, "quality");
    this.zLogScale = new Levels(tensors, "z_log_scale");
    this.hyperIn = new IntNet(tensors, "hyper_in", this.zLogScale.columns);
    this.hyper = new IntNet(tensors, "hyper", this.hyperIn.outputs);
    if (this.quality.columns !== this.hyperIn.outputs || this.hyper.scale !== HYPER_STRIDE) {
      throw new WeightsError("entropy.safetensors does not fit the model: hyper is of other sizes");
    }
    const features = this.hyper.outputs;
    this.context = new FourParts(tensors, features, this.gaussians, HYPER_STRIDE, positions);
    this.prior = new IntNet(tensors, "prior", this.context.channels + features);
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
    const offsets = mapped ? readOffsets(decoder, rows, columns) : null;
    const qindex = qindexMap(quality, rows * columns, offsets);
    const z = this.readZ(decoder, qindex);
    const hyper = this.hyperFeatures(z, qindex, rows, columns);
    const { symbols: y, latent } = this.context.read(decoder, hyper);
    const licUnits = decoder.units;
    const positions = latent.height * latent.width;
    const count = Math.floor((2 * kept * kept * positions + 225) / (2 * KEPT_STEPS * KEPT_STEPS));
    const indices = this.readIndices(decoder, latent, hyper, count);
    const vqUnits = decoder.units - licUnits;
    const known = { rows, columns, qindex, offsets, z, y, latent, indices, licUnits, vqUnits };
    return { ...known, keptIndices: count };
  }

  /**
   * @param {Decoder} decoder
   * @param {Uint8Array} qindex
   */
  readZ(decoder, qindex) {
    const { columns: channels } = this.zLogScale;
    const scales = new Float64Array(channels);
    const z = new Int8Array(qindex.length * channels);
    let level = -1;
    for (let at = 0, position = 0; position < qindex.length; position++) {
      if (qindex[position] !== level) {
        level = qindex[position];
        this.zLogScale.row(level, scales);
      }
      for (let c = 0; c < channels; c++) z[at++] = readGaussian(decoder, this.gaussians, scales[c]);
    }
    decoder.check();
    if (decoder.ended) {
      throw new TruncatedError("the data ends inside the hyper-latents, before any picture");
    }
    return z;
  }

  /**
   * @param {Int8Array} z
   * @param {Uint8Array} qindex
   * @param {number} rows
   * @param {number} columns
   * @returns {Field}
   */
  hyperFeatures(z, qindex, rows, columns) {
    const height = HYPER_STRIDE * rows;
    const width = HYPER_STRIDE * columns;
    const channels = this.hyper.outputs;
    const values = new Int16Array(height * width * channels);
    const read = (/** @type {Band} */ seen) => this.entered(z, qindex, columns, seen);
    for (const band of bands(rows, HYPER_STRIDE ** 2 * columns, 1, this.positions)) {
      const found = runBand(this.hyper, band, rows, read);
      values.set(found.values, HYPER_STRIDE * band.start * width * channels);
    }
    return { values, height, width, channels };
  }

  /**
   * What enters `hyper`, of some rows of z. Symbols times 1024 have 16 bits.
   * @param {Int8Array} z
   * @param {Uint8Array} qindex
   * @param {number} columns
   * @param {Band} seen
   */
  entered(z, qindex, columns, { start, stop }) {
    const { inputs, outputs } = this.hyperIn;
    const own = z.subarray(start * columns * inputs, stop * columns * inputs);
    const values = Int16Array.from(own, (symbol) => ONE * symbol);
    const entry = { values, height: stop - start, width: columns, channels: inputs };
    const field = this.hyperIn.run(entry);
    const added = new Float64Array(outputs);
    let level = -1;
    for (let at = 0, position = start * columns; position < stop * columns; position++) {
      if (qindex[position] !== level) {
        level = qindex[position];
        this.quality.row(level, added);
      }
      for (let c = 0; c < outputs; c++, at++) {
        field.values[at] = Math.min(Math.max(field.values[at] + added[c], 0), HIGH);
      }
    }
    return field;
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
 * Quality indices of each tile, of the picture's and the tile's offset.
 * @param {number} quality
 * @param {number} tiles
 * @param {Int8Array | null} offsets
 */
function qindexMap(quality, tiles, offsets) {
  const found = new Uint8Array(tiles).fill(quality);
  offsets?.forEach((offset, n) => {
    found[n] = Math.min(Math.max(quality + QINDEX_PER_OFFSET * offset, 0), QUALITIES - 1);
  });
  return found;
}

/**
 * A hash of all symbols, for comparing decoders: as 32-bit integers, lowest byte first.
 * @param {HdcSymbols} symbols
 */
export function symbolsSha256({ offsets, z, y, indices }) {
  const digest = new Sha256();
  for (const numbers of offsets ? [offsets, z, y, indices] : [z, y, indices]) {
    for (let at = 0; at < numbers.length; at += PIECE) {
      const piece = numbers.subarray(at, at + PIECE);
      const view = new DataView(new ArrayBuffer(4 * piece.length));
      for (let k = 0; k < piece.length; k++) view.setInt32(4 * k, piece[k], true);
      digest.update(new Uint8Array(view.buffer));
    }
  }
  return digest.hex();
}
