/** Integer networks on one band of rows after another: the same numbers, in less memory. */

/** @import { Field } from "./layers.js" */
/** @import { IntNet } from "./network.js" */

/** The least latent positions of a band, unless the picture has fewer: smaller bands are slower. */
export const POSITIONS = 16384;

/** @typedef {{ start: number, stop: number }} Band rows from start to stop */

/**
 * The rows of a picture in bands whose height is a multiple of `unit`.
 * @param {number} height
 * @param {number} width
 * @param {number} unit
 * @param {number} positions of a band, at least
 * @returns {Band[]}
 */
export function bands(height, width, unit, positions) {
  const rows = unit * Math.max(1, Math.ceil(positions / (unit * width)));
  const found = [];
  for (let start = 0; start < height; start += rows) {
    found.push({ start, stop: Math.min(start + rows, height) });
  }
  return found;
}

/**
 * A band with the `reach` rows above and below that a network sees, within `height` rows.
 * @param {Band} band
 * @param {number} reach
 * @param {number} height
 * @returns {Band}
 */
export function seenOf({ start, stop }, reach, height) {
  return { start: Math.max(0, start - reach), stop: Math.min(height, stop + reach) };
}

/**
 * What `net` makes of a band of its input, which has `height` rows; `read` gives any of them.
 * @param {IntNet} net
 * @param {Band} band
 * @param {number} height
 * @param {(seen: Band) => Field} read
 * @returns {Field} the band's rows of output alone
 */
export function runBand(net, band, height, read) {
  const seen = seenOf(band, net.reach, height);
  const field = net.run(read(seen));
  const row = field.width * field.channels;
  const [from, to] = [band.start, band.stop].map((place) => net.scale * (place - seen.start));
  return { ...field, height: to - from, values: field.values.subarray(from * row, to * row) };
}

/**
 * Rows of several fields of one size, their channels behind one another.
 * @param {Field[]} fields
 * @param {Band} rows
 * @returns {Field}
 */
export function joined(fields, { start, stop }) {
  const { width } = fields[0];
  const channels = fields.reduce((sum, field) => sum + field.channels, 0);
  const values = new Int16Array((stop - start) * width * channels);
  let offset = 0;
  for (const field of fields) {
    const own = field.channels;
    let from = start * width * own;
    for (let to = offset; to < values.length; to += channels) {
      for (let c = 0; c < own; c++) values[to + c] = field.values[from++];
    }
    offset += own;
  }
  return { values, height: stop - start, width, channels };
}
