/**
 * SHA-256 (FIPS 180-4), at once and without a secure context, which the browser's own asks for.
 * All sums are of 32-bit integers, cut to 32 bits.
 */

const PRIMES = firstPrimes(64);
const CONSTANTS = Int32Array.from(PRIMES, (prime) => rootBits(prime, 3n));
const START = Int32Array.from(PRIMES.slice(0, 8), (prime) => rootBits(prime, 2n));
const BLOCK = 64;

/** Takes bytes piece by piece. */
export class Sha256 {
  constructor() {
    this.state = START.slice();
    this.words = new Int32Array(BLOCK);
    this.block = new Uint8Array(BLOCK);
    this.filled = 0;
    this.size = 0;
  }

  /** @param {Uint8Array} data */
  update(data) {
    this.size += data.length;
    let at = 0;
    while (at < data.length) {
      if (!this.filled && data.length - at >= BLOCK) {
        this.compress(data, at);
        at += BLOCK;
        continue;
      }
      const count = Math.min(BLOCK - this.filled, data.length - at);
      this.block.set(data.subarray(at, at + count), this.filled);
      this.filled += count;
      at += count;
      if (this.filled === BLOCK) {
        this.compress(this.block, 0);
        this.filled = 0;
      }
    }
  }

  /** The hash of all bytes in hex digits; nothing can be added then. */
  hex() {
    const bits = 8 * this.size;
    this.update(Uint8Array.of(0x80));
    this.update(new Uint8Array((2 * BLOCK - 8 - this.filled) % BLOCK));
    const length = new DataView(new ArrayBuffer(8));
    length.setUint32(0, Math.floor(bits / 2 ** 32));
    length.setUint32(4, bits % 2 ** 32);
    this.update(new Uint8Array(length.buffer));
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /**
   * Take one block of `data`.
   * @param {Uint8Array} data
   * @param {number} at
   */
  compress(data, at) {
    const { words, state } = this;
    for (let k = 0; k < 16; k++, at += 4) {
      words[k] = (data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3];
    }
    for (let k = 16; k < BLOCK; k++) {
      const early = words[k - 15];
      const late = words[k - 2];
      const low = turned(early, 7) ^ turned(early, 18) ^ (early >>> 3);
      const high = turned(late, 17) ^ turned(late, 19) ^ (late >>> 10);
      words[k] = words[k - 16] + low + words[k - 7] + high;
    }
    let a = state[0], b = state[1], c = state[2], d = state[3];
    let e = state[4], f = state[5], g = state[6], h = state[7];
    for (let k = 0; k < BLOCK; k++) {
      const high = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
      const one = (h + high + ((e & f) ^ (~e & g)) + CONSTANTS[k] + words[k]) | 0;
      const low = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
      const two = (low + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

/**
 * The hash of `data` in hex digits.
 * @param {Uint8Array} data
 */
export function sha256(data) {
  const digest = new Sha256();
  digest.update(data);
  return digest.hex();
}

/**
 * @param {number} word
 * @param {number} count
 */
function turned(word, count) {
  return (word >>> count) | (word << (32 - count));
}

/** @param {number} count */
function firstPrimes(count) {
  /** @type {number[]} */
  const found = [];
  for (let number = 2; found.length < count; number++) {
    if (found.every((prime) => number % prime)) found.push(number);
  }
  return found;
}

/**
 * The first 32 bits behind the point of the root of a prime, by halving in whole numbers.
 * @param {number} prime
 * @param {bigint} degree
 */
function rootBits(prime, degree) {
  const power = BigInt(prime) << (32n * degree);
  let root = 0n;
  for (let bit = 1n << 37n; bit; bit >>= 1n) {
    if ((root + bit) ** degree <= power) root += bit;
  }
  return Number(BigInt.asIntN(32, root));
}
