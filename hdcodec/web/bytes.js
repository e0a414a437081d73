/** Bytes in: a bounds-checked reader, with the numbers of variable length. */

import { CorruptError, TruncatedError } from "./errors.js";

const VARINT_BYTES = 4;

/** Reads `data` from its start. Every read past the end throws TruncatedError. */
export class Reader {
  /** @param {Uint8Array} data */
  constructor(data) {
    this.data = data;
    this.position = 0;
  }

  /** Bytes not read yet. */
  get left() {
    return this.data.length - this.position;
  }

  /**
   * The next byte, 0..255; `what` names it should it be missing.
   * @param {string} what
   */
  byte(what) {
    return this.take(1, what)[0];
  }

  /**
   * The next `count` bytes, a view of the data; `what` names them should they be missing.
   * @param {number} count
   * @param {string} what
   */
  take(count, what) {
    if (count > this.left) {
      throw new TruncatedError(
        `the data ends inside the ${what} (needs ${count} bytes, has ${this.left})`,
      );
    }
    this.position += count;
    return this.data.subarray(this.position - count, this.position);
  }

  /**
   * The next number, unsigned LEB128: at most 28 bits, so that all sums here are exact.
   * @param {string} what
   */
  varint(what) {
    let value = 0;
    for (let index = 0; index < VARINT_BYTES; index++) {
      const byte = this.byte(what);
      value |= (byte & 127) << (7 * index);
      if (byte < 128) {
        if (byte === 0 && index > 0) {
          throw new CorruptError(`the ${what} is not written in its shortest form`);
        }
        return value;
      }
    }
    throw new CorruptError(`the ${what} is longer than ${VARINT_BYTES} bytes`);
  }

  /**
   * The next four bytes as a number, the highest first.
   * @param {string} what
   */
  uint32(what) {
    return bigEndian(this.take(4, what), 0);
  }
}

/**
 * Four bytes from `at` on as a number, the highest first, with zeros beyond the end.
 * @param {Uint8Array} data
 * @param {number} at
 */
export function bigEndian(data, at) {
  let value = 0;
  for (let place = at; place < at + 4; place++) {
    value = 256 * value + (place < data.length ? data[place] : 0);
  }
  return value;
}
