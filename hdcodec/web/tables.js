/** Integer tables: what is read at a quality, table numbers of scales, frequencies of indices. */

import { WeightsError } from "./errors.js";
/** @import { Tensor, Tensors } from "./safetensors.js" */

export const TOTAL = 2 ** 24;
export const SYMBOL_MAX = 24;
export const SYMBOLS = 2 * SYMBOL_MAX + 1;
const SCALES = 64;
const SCALE_STEP = 96;
const LOG_SCALE_MIN = -2260;
const EXP_RANGE = 16384;
export const QUALITIES = 201;

/**
 * The tensor of that name. Throws WeightsError where it is missing.
 * @param {Tensors} tensors
 * @param {string} name
 * @returns {Tensor}
 */
export function tensor(tensors, name) {
  const found = tensors.get(name);
  if (!found) throw new WeightsError(`the entropy networks lack '${name}'`);
  return found;
}

/** A table with a row per level, read at qualities 0..200 between them. */
export class Levels {
  /**
   * @param {Tensors} tensors
   * @param {string} name
   */
  constructor(tensors, name) {
    const { shape, values } = tensor(tensors, name);
    const [rows, columns] = shape;
    if (shape.length !== 2 || rows < 2 || (QUALITIES - 1) % (rows - 1) !== 0) {
      throw new WeightsError(`entropy.safetensors does not fit the model: ${name} has no levels`);
    }
    this.values = values;
    this.columns = columns;
    this.last = rows - 2;
    this.step = (QUALITIES - 1) / (rows - 1);
  }

  /**
   * The row at a quality, written into `out`. Values have 32 bits and the weights at most 8: sums
   * stay below 2**41, and the quotient, rounded down, is exact (see range.js).
   * @param {number} quality
   * @param {Float64Array} out
   */
  row(quality, out) {
    const { values, columns, step } = this;
    const low = Math.min(Math.floor(quality / step), this.last);
    const part = quality - step * low;
    const at = low * columns;
    for (let c = 0; c < columns; c++) {
      const sum = values[at + c] * (step - part) + values[at + columns + c] * part;
      out[c] = Math.floor(sum / step);
    }
  }
}

/**
 * The sums of frequencies before each symbol, row by row, of the tables of Gaussians.
 * @param {Tensors} tensors
 */
export function gaussianSums(tensors) {
  const { shape, values } = tensor(tensors, "gaussians");
  if (shape.length !== 2 || shape[0] !== SCALES || shape[1] !== SYMBOLS) {
    throw new WeightsError("entropy.safetensors does not fit the model: there are other gaussians");
  }
  const sums = new Int32Array(values.length);
  for (let row = 0; row < SCALES; row++) {
    let sum = 0;
    for (let at = row * SYMBOLS; at < (row + 1) * SYMBOLS; at++) {
      if (values[at] < 1) throw notFrequencies();
      sums[at] = sum;
      sum += values[at];
      if (sum > TOTAL) throw notFrequencies();
    }
    if (sum !== TOTAL) throw notFrequencies();
  }
  return sums;
}

function notFrequencies() {
  const reason = "gaussians are no frequencies";
  return new WeightsError(`entropy.safetensors does not fit the model: ${reason}`);
}

/**
 * The table number 0..63 of a logarithm of a scale, which has 16 bits.
 * @param {number} logScale
 */
export function scaleIndex(logScale) {
  const index = Math.floor((logScale - LOG_SCALE_MIN + SCALE_STEP / 2) / SCALE_STEP);
  return index < 0 ? 0 : index >= SCALES ? SCALES - 1 : index;
}

/** Frequencies of indices from logits. */
export class Softmax {
  /**
   * @param {Tensors} tensors
   * @param {number} codes how many indices there are
   */
  constructor(tensors, codes) {
    const { values } = tensor(tensors, "exp");
    // Then a mass times 2**24 is below 2**53, and the masses of all codes sum up to less, too.
    if (values.length !== EXP_RANGE + 1 || values.some((mass) => mass < 0 || mass >= 2 ** 28)) {
      throw new WeightsError("entropy.safetensors does not fit the model: exp is another table");
    }
    if (values[0] < 1 || codes >= 2 ** 20) {
      throw new WeightsError("entropy.safetensors does not fit the model: there are no codes");
    }
    this.exp = values;
    this.codes = codes;
    this.masses = new Int32Array(codes);
    /** Of the last position: sums of frequencies before each code. */
    this.sums = new Int32Array(codes);
  }

  /**
   * Make `sums` of the logits from `at` on, and return the largest frequency. A dividend plus the
   * divisor stays below 2**53, so that quotients, rounded down, are exact (see range.js).
   * @param {Int16Array} logits
   * @param {number} at
   */
  read(logits, at) {
    const { exp, codes, masses, sums } = this;
    let largest = logits[at];
    let first = 0;
    for (let k = 1; k < codes; k++) {
      if (logits[at + k] > largest) {
        largest = logits[at + k];
        first = k;
      }
    }
    let mass = 0;
    for (let k = 0; k < codes; k++) {
      const below = largest - logits[at + k];
      const own = exp[below < EXP_RANGE ? below : EXP_RANGE];
      masses[k] = own;
      mass += own;
    }
    const free = TOTAL - codes;
    let sum = 0;
    for (let k = 0; k < codes; k++) {
      sums[k] = sum;
      sum += 1 + Math.floor((masses[k] * free) / mass);
    }
    const missing = TOTAL - sum;
    for (let k = first + 1; k < codes; k++) sums[k] += missing;
    return (first + 1 < codes ? sums[first + 1] : TOTAL) - sums[first];
  }
}
