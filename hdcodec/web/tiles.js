/** Large pictures in overlapping tiles, so that memory does not grow with them. */

import { rounded } from "./rounding.js";

/** Pixels; tiles begin at multiples of it. */
const GRID = 128;
/** Pixels that a tile sees beyond its own. */
const HALO = 128;
const LEAST_AREA = (GRID + 2 * HALO) ** 2;

/**
 * Along one side of a picture: the pixels start..stop of a tile, of which it sees low..high.
 * @typedef {{ low: number, start: number, stop: number, high: number }} Span
 */

/** @typedef {Uint8Array | Int16Array | Int32Array} Numbers */

/** One of the rectangles that make up a picture, and its surroundings. */
export class Tile {
  /**
   * @param {Span} rows
   * @param {Span} columns
   */
  constructor(rows, columns) {
    this.rows = rows;
    this.columns = columns;
  }

  /**
   * First row, first column, height and width of what it sees, in an array of that stride.
   * @param {number} stride
   */
  seen(stride) {
    const { rows, columns } = this;
    const sides = [rows.low, columns.low, rows.high - rows.low, columns.high - columns.low];
    return sides.map((side) => side / stride);
  }

  /**
   * A copy of what it sees of an array of `width` columns with `channels` numbers each.
   * @template {Numbers} T
   * @param {T} values
   * @param {number} stride
   * @param {number} width
   * @param {number} channels
   * @returns {T}
   */
  cut(values, stride, width, channels) {
    const [top, left, height, wide] = this.seen(stride);
    const kind = /** @type {new (length: number) => T} */ (values.constructor);
    const found = new kind(height * wide * channels);
    for (let row = 0; row < height; row++) {
      const from = ((top + row) * width + left) * channels;
      found.set(values.subarray(from, from + wide * channels), row * wide * channels);
    }
    return found;
  }

  /**
   * Its own part of `part`, pixels of all that it sees, into `target`, `width` x `height` pixels
   * of `channels` bytes each: what lies beyond them is left out.
   * @param {Uint8Array} target
   * @param {Uint8Array} part
   * @param {number} width
   * @param {number} height
   * @param {number} channels
   */
  paste(target, part, width, height, channels) {
    const { rows, columns } = this;
    const wide = columns.high - columns.low;
    const count = Math.min(columns.stop, width) - columns.start;
    for (let row = rows.start; row < Math.min(rows.stop, height); row++) {
      const from = ((row - rows.low) * wide + columns.start - columns.low) * channels;
      const line = part.subarray(from, from + Math.max(0, count) * channels);
      target.set(line, (row * width + columns.start) * channels);
    }
  }
}

/**
 * The tiles of a picture, row by row, each of which sees at most `area` pixels.
 * @param {number} height a multiple of 64
 * @param {number} width a multiple of 64
 * @param {number} area below LEAST_AREA it counts as that
 */
export function tiles(height, width, area) {
  let [rows, columns] = [1, 1];
  for (;;) {
    const [down, right] = [spans(height, rows), spans(width, columns)];
    const [tall, wide] = [longest(down), longest(right)];
    if (tall * wide <= Math.max(area, LEAST_AREA)) {
      return down.flatMap((row) => right.map((column) => new Tile(row, column)));
    }
    if (tall >= wide) rows++;
    else columns++;
  }
}

/**
 * `count` tiles of about equal length, fewer where they would be shorter than the grid.
 * @param {number} length
 * @param {number} count
 * @returns {Span[]}
 */
function spans(length, count) {
  const cuts = new Set([0]);
  for (let k = 1; k < count; k++) {
    const cut = GRID * rounded((k * length) / count / GRID);
    if (cut < length) cuts.add(cut);
  }
  const edges = [...cuts, length];
  return edges.slice(1).map((stop, k) => ({
    low: Math.max(0, edges[k] - HALO),
    start: edges[k],
    stop,
    high: Math.min(length, stop + HALO),
  }));
}

/** @param {Span[]} found */
function longest(found) {
  return Math.max(...found.map(({ low, high }) => high - low));
}
