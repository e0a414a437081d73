/** The noise that pictures are decoded with: part of the format, and the same on every machine. */

const STEP = 1664525;
const START = 1013904223;
/** Mean and deviation of the sum of twelve bytes. */
const MEAN = 1530;
const DEVIATION = 256;

/**
 * Rows `top`..`top + height` and columns `left`..`left + width` of the noise, `channels` a place.
 * Each number is a function of its row, column and channel alone, exact in float32.
 * @param {number} top
 * @param {number} left
 * @param {number} height
 * @param {number} width
 * @param {number} channels
 */
export function noise(top, left, height, width, channels) {
  const found = new Float32Array(height * width * channels);
  let at = 0;
  for (let row = top; row < top + height; row++) {
    for (let column = left; column < left + width; column++) {
      for (let channel = 0; channel < channels; channel++) {
        found[at++] = (byteSum(row, column, channel) - MEAN) / DEVIATION;
      }
    }
  }
  return found;
}

/**
 * The sum of the bytes of the three words of pcg3d, modulo 2**32 as bit operations have it.
 * @param {number} row
 * @param {number} column
 * @param {number} channel
 */
function byteSum(row, column, channel) {
  let x = (Math.imul(row, STEP) + START) | 0;
  let y = (Math.imul(column, STEP) + START) | 0;
  let z = (Math.imul(channel, STEP) + START) | 0;
  x = (x + Math.imul(y, z)) | 0;
  y = (y + Math.imul(z, x)) | 0;
  z = (z + Math.imul(x, y)) | 0;
  x ^= x >>> 16;
  y ^= y >>> 16;
  z ^= z >>> 16;
  x = (x + Math.imul(y, z)) | 0;
  y = (y + Math.imul(z, x)) | 0;
  z = (z + Math.imul(x, y)) | 0;
  return bytes(x) + bytes(y) + bytes(z);
}

/** @param {number} word */
function bytes(word) {
  return (word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24);
}
