/** The map of qualities: a small grid of whole numbers, most of them like their neighbours. */

import { CorruptError } from "./errors.js";
import { TOTAL } from "./tables.js";
/** @import { Decoder } from "./range.js" */

const OFFSET_MAX = 20;
const GAIN = 4;

/** How often each of several symbols came; makes their frequencies. */
class Counts {
  /** @param {number[]} counts to begin with */
  constructor(counts) {
    this.counts = counts;
    this.total = counts.reduce((sum, count) => sum + count, 0);
    this.sums = new Int32Array(counts.length);
  }

  /**
   * Read one symbol, and count it. Counts stay below 2**27, so that products are exact.
   * @param {Decoder} decoder
   */
  read(decoder) {
    const { counts, sums, total } = this;
    const free = TOTAL - counts.length;
    let sum = 0;
    for (let k = 0; k < counts.length; k++) {
      sums[k] = sum;
      sum += 1 + Math.floor((counts[k] * free) / total);
    }
    const missing = TOTAL - sum; // goes to the first
    for (let k = 1; k < counts.length; k++) sums[k] += missing;
    const symbol = decoder.symbol(sums, 0, counts.length);
    decoder.check();
    counts[symbol] += GAIN;
    this.total += GAIN;
    return symbol;
  }
}

/**
 * Read a grid of numbers -20..20, row by row. Throws CorruptError for what no encoder writes.
 * @param {Decoder} decoder
 * @param {number} rows
 * @param {number} columns
 */
export function readOffsets(decoder, rows, columns) {
  const found = new Int8Array(rows * columns);
  const flat = new Counts([32, 1]);
  const edge = new Counts([2, 1]);
  const other = new Counts([1, 1]);
  const values = new Counts(Array(2 * OFFSET_MAX + 1).fill(1));
  for (let at = 0; at < found.length; at++) {
    const inside = at % columns > 0;
    const above = at >= columns ? found[at - columns] : 0;
    const left = inside ? found[at - 1] : 0;
    const corner = inside && at >= columns ? found[at - columns - 1] : 0;
    const [low, high] = above < left ? [above, left] : [left, above];
    const guess = Math.min(Math.max(above + left - corner, low), high);
    const neighbour = guess === left ? above : left;
    const right = above === left && left === corner ? flat : edge;
    if (right.read(decoder) === 0) {
      found[at] = guess;
    } else if (neighbour !== guess && other.read(decoder) === 0) {
      found[at] = neighbour;
    } else {
      const value = values.read(decoder) - OFFSET_MAX;
      if ((value === guess || value === neighbour) && !decoder.ended) {
        throw new CorruptError("the map of qualities says in more words what it says in fewer");
      }
      found[at] = value;
    }
  }
  return found;
}
