/** Hyper-latents and latents in the order of the range stream, for any family that codes such. */

import { POSITIONS, bands, runBand } from "./bands.js";
import { FourParts, ONE, readGaussian } from "./context.js";
import { TruncatedError, WeightsError } from "./errors.js";
import { HIGH } from "./layers.js";
import { IntNet } from "./network.js";
import { readOffsets } from "./offsets.js";
import { Sha256 } from "./sha256.js";
import { Levels, QUALITIES, gaussianSums } from "./tables.js";
/** @import { Band } from "./bands.js" */
/** @import { Field } from "./layers.js" */
/** @import { Decoder } from "./range.js" */
/** @import { Tensors } from "./safetensors.js" */

const QINDEX_PER_OFFSET = 10;
/** Numbers that are hashed at once. */
const PIECE = 16384;

/**
 * What a file says of latents, exactly. `qindex` 0..200 and `offsets`, the map, if there is one,
 * are of `rows` x `columns` tiles of 64 x 64 pixels; `z` and `y` are symbols, `latent` what `y`
 * decodes to in units of 2**-10.
 * @typedef {object} LatentSymbols
 * @property {number} rows
 * @property {number} columns
 * @property {Uint8Array} qindex
 * @property {Int8Array | null} offsets
 * @property {Int8Array} z
 * @property {Int8Array} y
 * @property {Field} latent
 */

/** The integer networks and tables of one set of weights that latents are read by. */
export class LatentReader {
  /**
   * Throws WeightsError for tensors that do not fit one another.
   * @param {Tensors} tensors
   * @param {number} cells latents per hyper-latent along a side
   * @param {number} positions of a band on which networks run, at least
   */
  constructor(tensors, cells, positions = POSITIONS) {
    this.cells = cells;
    this.positions = positions;
    this.gaussians = gaussianSums(tensors);
    this.quality = new Levels(tensors, "quality");
    this.zLogScale = new Levels(tensors, "z_log_scale");
    this.hyperIn = new IntNet(tensors, "hyper_in", this.zLogScale.columns);
    this.hyper = new IntNet(tensors, "hyper", this.hyperIn.outputs);
    if (this.quality.columns !== this.hyperIn.outputs || this.hyper.scale !== cells) {
      throw new WeightsError("entropy.safetensors does not fit the model: hyper is of other sizes");
    }
    const features = this.hyper.outputs;
    this.context = new FourParts(tensors, features, this.gaussians, cells, positions);
  }

  /**
   * Read the latents of a picture of `rows` x `columns` hyper-latents; with them comes `hyper`, what
   * the hyper-latents say of them. Throws CorruptError, and TruncatedError where a beginning of a
   * file has too little.
   * @param {Decoder} decoder
   * @param {number} rows
   * @param {number} columns
   * @param {number} quality 0..200
   * @param {boolean} mapped whether there is a map of qualities
   * @returns {{ found: LatentSymbols, hyper: Field }}
   */
  readLatents(decoder, rows, columns, quality, mapped) {
    const offsets = mapped ? readOffsets(decoder, rows, columns) : null;
    const qindex = qindexMap(quality, rows * columns, offsets);
    const z = this.readZ(decoder, qindex);
    const hyper = this.hyperFeatures(z, qindex, rows, columns);
    const { symbols: y, latent } = this.context.read(decoder, hyper);
    return { found: { rows, columns, qindex, offsets, z, y, latent }, hyper };
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
    const height = this.cells * rows;
    const width = this.cells * columns;
    const channels = this.hyper.outputs;
    const values = new Int16Array(height * width * channels);
    const read = (/** @type {Band} */ seen) => this.entered(z, qindex, columns, seen);
    for (const band of bands(rows, this.cells ** 2 * columns, 1, this.positions)) {
      const found = runBand(this.hyper, band, rows, read);
      values.set(found.values, this.cells * band.start * width * channels);
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
 * @param {(Int8Array | Int32Array)[]} parts in stream order
 */
export function sha256Of(parts) {
  const digest = new Sha256();
  for (const numbers of parts) {
    for (let at = 0; at < numbers.length; at += PIECE) {
      const piece = numbers.subarray(at, at + PIECE);
      const view = new DataView(new ArrayBuffer(4 * piece.length));
      for (let k = 0; k < piece.length; k++) view.setInt32(4 * k, piece[k], true);
      digest.update(new Uint8Array(view.buffer));
    }
  }
  return digest.hex();
}
