/** The fields of the header. */

import { CorruptError, UnknownModelError } from "./errors.js";
import { MODELS } from "./registry.js";
/** @import { Reader } from "./bytes.js" */

export const MAGIC = Uint8Array.of(0xab, 0x48);
export const PLAIN = 1;
export const EXTENDED = 2;
export const MAX_SIDE = 65535;
export const MAX_PIXELS = 178956970;
const LAST_MODEL = 126;
const QUARTERS = [65536, 55109, 46341, 38968];

/**
 * What the decoder must know before the first symbol. `parameters` are the family's; `flags`, 0..7,
 * too. `scale`, 0..31, says how much smaller than `width` x `height` the picture is coded.
 * @typedef {object} Header
 * @property {number} version
 * @property {number} width
 * @property {number} height
 * @property {number} model
 * @property {number[]} parameters
 * @property {number} scale
 * @property {number} flags
 */

/**
 * Read magic and fields. Throws TruncatedError, CorruptError, UnknownModelError.
 * @param {Reader} reader
 * @returns {{ header: Header, hasChunks: boolean }} the header, and whether chunks follow
 */
export function parseHeader(reader) {
  reader.take(MAGIC.length, "magic");
  const first = reader.byte("header");
  const second = reader.byte("header");
  const version = first >> 4;
  const model = second >> 1;
  const width = reader.varint("width");
  const height = reader.varint("height");
  check("version", version, PLAIN, EXTENDED);
  check("width", width, 1, MAX_SIDE);
  check("height", height, 1, MAX_SIDE);
  check("model", model, 0, LAST_MODEL);
  const known = MODELS.get(model);
  if (!known) throw new UnknownModelError(`model ${model} is not known to this release`);
  const parameters = [first & 15, ...reader.take(known.parameters - 1, "header")];
  const extension = version === EXTENDED ? reader.byte("header") : 0;
  if (version === EXTENDED && extension === 0) {
    throw new CorruptError("the extension of the header says nothing");
  }
  const [flags, scale] = [extension >> 5, extension & 31];
  return {
    header: { version, width, height, model, parameters, scale, flags },
    hasChunks: (second & 1) === 1,
  };
}

/**
 * Width and height of the picture that is coded.
 * @param {Header} header
 */
export function codedSize({ width, height, scale }) {
  return { width: scaled(width, scale), height: scaled(height, scale) };
}

/**
 * A side at a scale. Below 2**16 * 2**16 + 2**23, and the divisor is a power of two: exact.
 * @param {number} side
 * @param {number} scale
 */
function scaled(side, scale) {
  const unit = 65536 << (scale >> 2);
  return Math.max(1, Math.floor((side * QUARTERS[scale & 3] + unit / 2) / unit));
}

/**
 * @param {string} name
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function check(name, value, low, high) {
  if (value < low || value > high) {
    throw new CorruptError(`the ${name} is ${value}, outside ${low}..${high}`);
  }
}
