/** Weights that were sent in 8 bits: hdcodec/_eight_bits.py describes the file. */

import { WeightsError } from "./errors.js";

const LENGTH_BYTES = 8;
/** A float32, and the same bits as a whole number. */
const FLOAT = new Float32Array(1);
const WORD = new Uint32Array(FLOAT.buffer);

/**
 * The safetensors file that a file in 8 bits stands for; its hash says whether it is that. Throws
 * WeightsError for what cannot be one.
 * @param {Uint8Array} data
 */
export function unpacked(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  try {
    const end = LENGTH_BYTES + view.getUint32(0, true);
    const told = JSON.parse(new TextDecoder().decode(data.subarray(LENGTH_BYTES, end)));
    return tensors(data, view, end, told);
  } catch (fault) {
    const { message } = /** @type {Error} */ (fault);
    throw new WeightsError(`networks.8bit cannot be parsed: ${message}`);
  }
}

/**
 * @param {Uint8Array} data
 * @param {DataView} view
 * @param {number} start
 * @param {{ head: number, tensors: [number, number][] }} told
 */
function tensors(data, view, start, { head, tensors }) {
  const size = tensors.reduce((sum, [, count]) => sum + 2 * count, head);
  const found = new Uint8Array(size);
  const numbers = new DataView(found.buffer);
  /** What each byte stands for in a row, once it is known. */
  const [halves, known] = [new Uint16Array(256), new Uint8Array(256)];
  found.set(data.subarray(start, start + head));
  let [from, to] = [start + head, head];
  for (const [rows, count] of tensors) {
    if (!rows) {
      found.set(data.subarray(from, from + 2 * count), to);
      from += 2 * count;
      to += 2 * count;
      continue;
    }
    const [levels, columns] = [from + 4 * rows, count / rows];
    for (let row = 0; row < rows; row++) {
      const step = view.getFloat32(from + 4 * row, true);
      const first = levels + row * columns;
      known.fill(0);
      for (let n = first; n < first + columns; n++, to += 2) {
        const byte = data[n];
        if (!known[byte]) {
          known[byte] = 1;
          halves[byte] = half((byte < 128 ? byte : byte - 256) * step);
        }
        numbers.setUint16(to, halves[byte], true);
      }
    }
    from = levels + count;
  }
  return found;
}

/**
 * The bits of the float16 that is nearest to a number, of two the even one. A number here is a
 * product of 8 and 24 bits, rounded to float32 first as Python has it.
 * @param {number} number
 */
function half(number) {
  FLOAT[0] = number;
  const word = WORD[0];
  const sign = (word >>> 16) & 0x8000;
  const exponent = ((word >>> 23) & 255) - 112;
  const digits = word & 0x7fffff;
  if (exponent <= 0) {
    // What is too small for a leading one is a multiple of 2**-24.
    const shift = 14 - exponent;
    return sign | (shift > 24 ? 0 : nearest(digits | 0x800000, shift));
  }
  return sign | ((exponent << 10) + nearest(digits, 13));
}

/**
 * @param {number} value
 * @param {number} shift
 */
function nearest(value, shift) {
  const below = value >>> shift;
  const rest = value - below * 2 ** shift;
  const middle = 2 ** (shift - 1);
  return below + Number(rest > middle || (rest === middle && below % 2 === 1));
}
