/**
 * The decoder of the range stream, as docs/format.md describes it: 64 bits of state, words of 32
 * bits, frequencies of 24 bits.
 *
 * Numbers of 64 bits are kept as two doubles, `high` * 2**24 + `low` with `low` < 2**24 and `high`
 * < 2**40, so that `high` of the width is the unit of a frequency. Every product and sum here is
 * a whole number below 2**53, thus exact. So is every quotient rounded down: where a + b < 2**53,
 * floor(a / b) in doubles is the true one, since a quotient below the next whole number n is below
 * it by 1 / b at least, and rounding moves it by at most n / 2**53, which is less.
 *
 * Of `point` and the lower end only the difference counts, called `point` here; it lies within the
 * width all the time, so that it never leaves its 64 bits.
 */

import { bigEndian } from "./bytes.js";
import { CorruptError } from "./errors.js";

const CUT = 2 ** 24;
const PART = 2 ** 12;
const WORD_BYTES = 4;

const UNIT = 256;
const SPARE_BITS = 64 + 8;
/** Bytes of zeros or ones after a beginning: more than a reader looks ahead. */
const AHEAD = 64;
/** What symbols carry is checked after so many of them. */
const BLOCK = 65536;

/** ceil(256 log2((257 + k) / 256)), from whole numbers alone: the digits of (257 + k)**256. */
const LOG2 = Int32Array.from({ length: UNIT }, (_, k) => {
  const power = BigInt(257 + k) ** BigInt(UNIT);
  return (power - 1n).toString(2).length - 8 * UNIT;
});

/** Reads symbols. Throws CorruptError where the stream says what no encoder says. */
class RangeReader {
  /** @param {Uint8Array} stream */
  constructor(stream) {
    this.stream = stream;
    this.next = 0;
    this.widthHigh = 2 ** 40 - 1;
    this.widthLow = CUT - 1;
    const [first, second] = [this.word(), this.word()];
    this.pointHigh = first * 256 + Math.floor(second / CUT);
    this.pointLow = second % CUT;
    /** The frequency of the last symbol. */
    this.frequency = 0;
  }

  /** The next word, zero beyond the end. */
  word() {
    this.next += WORD_BYTES;
    return bigEndian(this.stream, this.next - WORD_BYTES);
  }

  /**
   * The next symbol. `sums` holds from `at` on the sums of frequencies before each of `count`
   * symbols, 0 first; the last symbol's frequency goes up to 2**24.
   * @param {Int32Array} sums
   * @param {number} at
   * @param {number} count
   */
  symbol(sums, at, count) {
    const unit = this.widthHigh;
    if (this.pointHigh >= unit) throw new CorruptError("the range stream is corrupt");
    // floor(point / unit) by two digits of 12 bits: each dividend is below 2**52.
    const dividend = this.pointHigh * PART + Math.floor(this.pointLow / PART);
    const digit = Math.floor(dividend / unit);
    const rest = (dividend - digit * unit) * PART + (this.pointLow % PART);
    const last = Math.floor(rest / unit);
    const target = digit * PART + last;
    let low = 0;
    let high = count;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (sums[at + middle] <= target) low = middle;
      else high = middle;
    }
    const start = sums[at + low];
    this.frequency = (low + 1 < count ? sums[at + low + 1] : CUT) - start;
    this.narrow(target - start, rest - last * unit, this.frequency, unit);
    return low;
  }

  /**
   * point = steps * unit + rest, width = frequency * unit.
   * @param {number} steps below the frequency
   * @param {number} rest below the unit
   * @param {number} frequency below 2**24
   * @param {number} unit below 2**40, in pieces of 16 and 24 bits: no product reaches 2**48
   */
  narrow(steps, rest, frequency, unit) {
    const unitHigh = Math.floor(unit / CUT);
    const unitLow = unit - unitHigh * CUT;
    const pointSum = steps * unitLow + rest;
    const pointCarry = Math.floor(pointSum / CUT);
    const widthSum = frequency * unitLow;
    const widthCarry = Math.floor(widthSum / CUT);
    this.pointHigh = steps * unitHigh + pointCarry;
    this.pointLow = pointSum - pointCarry * CUT;
    this.widthHigh = frequency * unitHigh + widthCarry;
    this.widthLow = widthSum - widthCarry * CUT;
    if (this.widthHigh < 256) this.shift();
  }

  /** Width and point, both below 2**32, times 2**32. */
  shift() {
    const word = this.word();
    const carry = Math.floor(word / CUT);
    this.pointHigh = (this.pointHigh * CUT + this.pointLow) * 256 + carry;
    this.pointLow = word - carry * CUT;
    this.widthHigh = (this.widthHigh * CUT + this.widthLow) * 256;
    this.widthLow = 0;
  }
}

/**
 * Reads the symbols of a whole stream; throws CorruptError where it cannot have come from an
 * encoder. A stream of n bytes holds at most 8 n + 72 bits: what is read beyond them comes from the
 * zeros after its end, so that a short one that claims many symbols is refused where it runs dry.
 */
export class RangeDecoder extends RangeReader {
  /** @param {Uint8Array} stream */
  constructor(stream) {
    super(stream);
    this.limit = UNIT * (8 * stream.length + SPARE_BITS);
    /** What the symbols so far cost by their tables, in 1/256 bit. */
    this.units = 0;
    this.unchecked = 0;
    /** Whether what is read now is guessed. */
    this.ended = false;
    /** How many of the symbols asked for were known, 0..1. */
    this.share = 1;
  }

  /**
   * The next symbol, see RangeReader.
   * @param {Int32Array} sums
   * @param {number} at
   * @param {number} count
   */
  symbol(sums, at, count) {
    const found = super.symbol(sums, at, count);
    this.units += information(this.frequency);
    this.unchecked += 1;
    if (this.unchecked === BLOCK) this.check();
    return found;
  }

  /** Refuse a stream whose symbols carry more than its bytes can; at the end of every array. */
  check() {
    this.unchecked = 0;
    if (this.units > this.limit) {
      throw new CorruptError("the range stream ends before its last symbol");
    }
  }
}

/**
 * Reads symbols from the first bytes of a stream, as many as these decide; then come the likeliest
 * symbols of the tables.
 *
 * Whatever bytes follow, the whole stream lies between the one that goes on with zeros and the one
 * that goes on with ones. A symbol that is the same in both is the true one.
 */
export class PrefixDecoder {
  /** @param {Uint8Array} beginning */
  constructor(beginning) {
    this.zeros = goingOn(beginning, 0);
    this.ones = goingOn(beginning, 255);
    /** What the symbols that are known cost by their tables, in 1/256 bit. */
    this.units = 0;
    this.ended = false;
    this.known = 0;
    this.asked = 0;
  }

  /** How many of the symbols asked for were known, 0..1. */
  get share() {
    return this.known / Math.max(1, this.asked);
  }

  /**
   * The next symbol, known or likeliest; see RangeReader.
   * @param {Int32Array} sums
   * @param {number} at
   * @param {number} count
   */
  symbol(sums, at, count) {
    this.asked += 1;
    if (!this.ended) {
      const found = decided(this.zeros, sums, at, count);
      if (found >= 0 && found === decided(this.ones, sums, at, count)) {
        this.units += information(this.zeros.frequency);
        this.known += 1;
        return found;
      }
      this.ended = true;
    }
    return likeliest(sums, at, count);
  }

  /** Guesses carry nothing. */
  check() {}
}

/** @typedef {RangeDecoder | PrefixDecoder} Decoder */

/**
 * A reader of a beginning of a stream, of whole words, with more bytes of one kind behind it.
 * @param {Uint8Array} beginning
 * @param {number} fill
 */
function goingOn(beginning, fill) {
  const rest = -beginning.length & (WORD_BYTES - 1);
  const stream = new Uint8Array(beginning.length + rest + AHEAD).fill(fill);
  stream.set(beginning);
  return new RangeReader(stream);
}

/**
 * The next symbol, or -1 where the stream says what no encoder says.
 * @param {RangeReader} reader
 * @param {Int32Array} sums
 * @param {number} at
 * @param {number} count
 */
function decided(reader, sums, at, count) {
  try {
    return reader.symbol(sums, at, count);
  } catch (fault) {
    if (fault instanceof CorruptError) return -1;
    throw fault;
  }
}

/**
 * The symbol with the largest frequency, of equal ones the first.
 * @param {Int32Array} sums
 * @param {number} at
 * @param {number} count
 */
function likeliest(sums, at, count) {
  let found = count - 1;
  let most = CUT - sums[at + count - 1];
  for (let k = count - 2; k >= 0; k--) {
    const frequency = sums[at + k + 1] - sums[at + k];
    if (frequency >= most) {
      most = frequency;
      found = k;
    }
  }
  return found;
}

/**
 * What a symbol of a frequency carries, in 1/256 bit: 24 bits less the logarithm of the frequency,
 * which is read from its highest nine bits.
 * @param {number} frequency
 */
function information(frequency) {
  const shift = 23 - Math.clz32(frequency);
  const mantissa = shift < 0 ? frequency << -shift : frequency >> shift;
  return UNIT * (16 - shift) - LOG2[mantissa - UNIT];
}
