/** Latents in four parts, each with what the parts before it say (four-part context). */

import { bands, joined, seenOf } from "./bands.js";
import { WeightsError } from "./errors.js";
import { pointwise } from "./layers.js";
import { IntNet } from "./network.js";
import { SYMBOLS, SYMBOL_MAX, scaleIndex } from "./tables.js";
/** @import { Band } from "./bands.js" */
/** @import { Field } from "./layers.js" */
/** @import { Decoder } from "./range.js" */
/** @import { Tensors } from "./safetensors.js" */

const PARTS = 4;
export const ONE = 1024;
const LIMIT = SYMBOL_MAX * ONE;

/** The networks of the parts, and the tables that they choose from. */
export class FourParts {
  /**
   * @param {Tensors} tensors
   * @param {number} features channels of the hyper features
   * @param {Int32Array} gaussians sums of frequencies
   * @param {number} unit bands have a multiple of so many rows
   * @param {number} positions of a band, at least
   */
  constructor(tensors, features, gaussians, unit, positions) {
    const first = new IntNet(tensors, "parts.0", features);
    this.channels = first.outputs / 2;
    this.gaussians = gaussians;
    this.unit = unit;
    this.positions = positions;
    /** Whether the latents of a part come in the order of falling scale. */
    this.byScale = tensors.has("by_scale");
    this.nets = [first];
    for (let part = 1; part < PARTS; part++) {
      this.nets.push(new IntNet(tensors, `parts.${part}`, features + this.channels));
    }
    const fit = this.nets.every(
      (net) => net.layers[net.layers.length - 1].kind === "pw" && net.outputs === first.outputs,
    );
    if (!fit || !Number.isInteger(this.channels)) {
      throw new WeightsError("entropy.safetensors does not fit the model: parts end otherwise");
    }
  }

  /**
   * The symbols, and what they decode to in units of 2**-10.
   * @param {Decoder} decoder
   * @param {Field} features
   * @returns {{ symbols: Int8Array, latent: Field }}
   */
  read(decoder, features) {
    const { height, width } = features;
    const { channels } = this;
    const symbols = new Int8Array(height * width * channels);
    const latent = { values: new Int16Array(symbols.length), height, width, channels };
    const rows = bands(height, width, this.unit, this.positions);
    for (let part = 0; part < PARTS; part++) {
      if (this.byScale) {
        this.readPart(decoder, part, rows, features, symbols, latent);
        continue;
      }
      for (const band of rows) {
        const found = this.predict(part, band, features, latent);
        this.readBand(decoder, part, band, found, symbols, latent);
        decoder.check();
      }
    }
    return { symbols, latent };
  }

  /**
   * Means and log-scales, 2 C numbers at each position of a band, of the latents that `part` holds;
   * the others are not computed.
   * @param {number} part
   * @param {Band} band
   * @param {Field} features
   * @param {Field} latent
   */
  predict(part, band, features, latent) {
    const { width } = features;
    const { channels } = this;
    const net = this.nets[part];
    const last = net.layers[net.layers.length - 1];
    const seen = seenOf(band, net.reach, features.height);
    const input = joined(part ? [features, latent] : [features], seen);
    if (part) this.forget(part, { start: seen.start, stop: band.start }, input, features.channels);
    const hidden = net.run(input, net.layers.length - 1).values;
    const skipped = (band.start - seen.start) * width;
    const own = hidden.subarray(skipped * last.inputs);
    const out = new Int16Array((band.stop - band.start) * width * last.outputs);
    for (let row = band.start; row < band.stop; row++) {
      for (let odd = 0; odd < Math.min(2, width); odd++) {
        const { from, to } = this.group(part, row, odd);
        const first = (row - band.start) * width + odd;
        const count = Math.ceil((width - odd) / 2);
        pointwise(last, own, out, first, 2, count, from, to);
        pointwise(last, own, out, first, 2, count, channels + from, channels + to);
      }
    }
    return out;
  }

  /**
   * Set the latents of `part` in some rows, the first of the input, to zero: there they are known
   * from the band above.
   * @param {number} part
   * @param {Band} rows
   * @param {Field} input features, then latents
   * @param {number} before channels of the features
   */
  forget(part, rows, { values, width, channels }, before) {
    for (let row = rows.start; row < rows.stop; row++) {
      for (let column = 0; column < width; column++) {
        const { from, to } = this.group(part, row, column);
        const at = ((row - rows.start) * width + column) * channels + before;
        values.fill(0, at + from, at + to);
      }
    }
  }

  /**
   * The channels that `part` holds at a position: those of one group of four.
   * @param {number} part
   * @param {number} row
   * @param {number} column
   */
  group(part, row, column) {
    const group = part ^ (2 * (row & 1) + (column & 1));
    const from = Math.ceil((group * this.channels) / PARTS);
    return { from, to: Math.ceil(((group + 1) * this.channels) / PARTS) };
  }

  /**
   * All latents of a part, those of the widest tables first; they do not depend on each other.
   * @param {Decoder} decoder
   * @param {number} part
   * @param {Band[]} rows
   * @param {Field} features
   * @param {Int8Array} symbols
   * @param {Field} latent
   */
  readPart(decoder, part, rows, features, symbols, latent) {
    const { values, width, height } = latent;
    const { channels, gaussians } = this;
    const most = height * width * Math.ceil(channels / PARTS);
    const [places, means] = [new Int32Array(most), new Int16Array(most)];
    const tables = new Uint8Array(most);
    let count = 0;
    for (const band of rows) {
      const found = this.predict(part, band, features, latent);
      let mean = 0;
      for (let row = band.start; row < band.stop; row++) {
        for (let column = 0; column < width; column++) {
          const { from, to } = this.group(part, row, column);
          for (let c = from; c < to; c++) {
            places[count] = (row * width + column) * channels + c;
            means[count] = found[mean + c];
            tables[count++] = scaleIndex(found[mean + channels + c]);
          }
          mean += 2 * channels;
        }
      }
    }
    for (const k of fallingOrder(tables.subarray(0, count))) {
      const row = tables[k] * SYMBOLS;
      const symbol = row ? decoder.symbol(gaussians, row, SYMBOLS) - SYMBOL_MAX : 0;
      const value = ONE * symbol + means[k];
      symbols[places[k]] = symbol;
      values[places[k]] = value < -LIMIT ? -LIMIT : value > LIMIT ? LIMIT : value;
    }
    decoder.check();
  }

  /**
   * @param {Decoder} decoder
   * @param {number} part
   * @param {Band} band
   * @param {Int16Array} found means and log-scales
   * @param {Int8Array} symbols
   * @param {Field} latent
   */
  readBand(decoder, part, band, found, symbols, latent) {
    const { values, width } = latent;
    const { channels, gaussians } = this;
    let mean = 0;
    let at = band.start * width * channels;
    for (let row = band.start; row < band.stop; row++) {
      for (let column = 0; column < width; column++) {
        const { from, to } = this.group(part, row, column);
        for (let c = from; c < to; c++) {
          const symbol = readGaussian(decoder, gaussians, found[mean + channels + c]);
          const value = ONE * symbol + found[mean + c];
          symbols[at + c] = symbol;
          values[at + c] = value < -LIMIT ? -LIMIT : value > LIMIT ? LIMIT : value;
        }
        mean += 2 * channels;
        at += channels;
      }
    }
  }
}

/**
 * Where each of some numbers below 256 is, the largest first, equal ones as they come.
 * @param {Uint8Array} numbers
 */
function fallingOrder(numbers) {
  const next = new Int32Array(257);
  for (const number of numbers) next[255 - number + 1]++;
  for (let k = 1; k < next.length; k++) next[k] += next[k - 1];
  const order = new Int32Array(numbers.length);
  for (let k = 0; k < numbers.length; k++) order[next[255 - numbers[k]]++] = k;
  return order;
}

/**
 * The next symbol -24..24 under the table of a log-scale; under the narrowest it is 0, not coded.
 * @param {Decoder} decoder
 * @param {Int32Array} gaussians
 * @param {number} logScale
 */
export function readGaussian(decoder, gaussians, logScale) {
  const table = scaleIndex(logScale);
  return table ? decoder.symbol(gaussians, table * SYMBOLS, SYMBOLS) - SYMBOL_MAX : 0;
}
