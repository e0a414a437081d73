/** Pictures at another size, as Pillow's `resize` with `LANCZOS` makes them: see docs/format.md. */

const SUPPORT = 3;
/** Weights are whole numbers in units of 2**-22, so that a sum has 32 bits. */
const BITS = 22;

/**
 * Bytes in rows.
 * @typedef {object} Bytes
 * @property {number} width
 * @property {number} height
 * @property {number} channels
 * @property {Uint8Array} data
 */

/**
 * The picture at another size, first along rows, then along columns.
 * @param {Bytes} picture
 * @param {number} width
 * @param {number} height
 * @returns {Bytes}
 */
export function resized(picture, width, height) {
  let found = picture;
  if (width !== found.width) found = alongRows(found, width);
  if (height !== found.height) found = alongColumns(found, height);
  return found;
}

/**
 * @param {Bytes} picture
 * @param {number} width
 * @returns {Bytes}
 */
function alongRows({ width: before, height, channels, data }, width) {
  const found = new Uint8Array(width * height * channels);
  const all = weights(before, width);
  for (let row = 0, at = 0; row < height; row++) {
    for (let x = 0; x < width; x++) {
      const { first, numbers } = all[x];
      const from = (row * before + first) * channels;
      for (let c = 0; c < channels; c++) {
        found[at++] = sum(data, from + c, channels, numbers);
      }
    }
  }
  return { width, height, channels, data: found };
}

/**
 * @param {Bytes} picture
 * @param {number} height
 * @returns {Bytes}
 */
function alongColumns({ width, height: before, channels, data }, height) {
  const line = width * channels;
  const found = new Uint8Array(height * line);
  weights(before, height).forEach(({ first, numbers }, row) => {
    for (let k = 0; k < line; k++) {
      found[row * line + k] = sum(data, first * line + k, line, numbers);
    }
  });
  return { width, height, channels, data: found };
}

/**
 * @param {Uint8Array} data
 * @param {number} from
 * @param {number} step
 * @param {Int32Array} numbers
 */
function sum(data, from, step, numbers) {
  let total = 1 << (BITS - 1);
  for (let k = 0; k < numbers.length; k++) total += data[from + k * step] * numbers[k];
  return Math.min(Math.max(total >> BITS, 0), 255);
}

/**
 * Of each place of a side what it is made of: the first of the places before, and their weights.
 * @param {number} before
 * @param {number} after
 */
function weights(before, after) {
  const scale = before / after;
  const wide = Math.max(scale, 1);
  return Array.from({ length: after }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - SUPPORT * wide + 0.5));
    const end = Math.min(before, Math.trunc(centre + SUPPORT * wide + 0.5));
    const found = Array.from({ length: end - first }, (_, k) =>
      lanczos((k + first - centre + 0.5) / wide),
    );
    const total = found.reduce((one, other) => one + other, 0);
    const numbers = Int32Array.from(found, (weight) => {
      const number = (weight / total) * 2 ** BITS;
      return Math.trunc(number < 0 ? number - 0.5 : number + 0.5);
    });
    return { first, numbers };
  });
}

/** @param {number} x */
function lanczos(x) {
  return x >= -SUPPORT && x < SUPPORT ? sinc(x) * sinc(x / SUPPORT) : 0;
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
