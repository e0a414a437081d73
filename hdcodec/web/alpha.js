/** What may stand in an alpha chunk, checked before anything decodes it. */

import { Reader } from "./bytes.js";
import { CorruptError } from "./errors.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const WHAT = "alpha chunk";

/**
 * Accept a gray PNG of `width` x `height` pixels made of IHDR, IDAT and IEND alone. Throws
 * CorruptError for anything else, TruncatedError if the PNG is cut.
 * @param {Uint8Array} png
 * @param {number} width
 * @param {number} height
 */
export function checkAlpha(png, width, height) {
  const reader = new Reader(png);
  const signature = reader.take(SIGNATURE.length, WHAT);
  if (SIGNATURE.some((byte, at) => signature[at] !== byte)) {
    throw new CorruptError("the alpha chunk is not a PNG");
  }
  const { kind, body } = section(reader);
  if (kind !== "IHDR" || body.length !== 13) {
    throw new CorruptError("the alpha chunk has no PNG header");
  }
  checkHeader(body, width, height);
  checkPixels(reader);
}

/**
 * @param {Uint8Array} body of IHDR
 * @param {number} width
 * @param {number} height
 */
function checkHeader(body, width, height) {
  const fields = new Reader(body);
  const [wide, high] = [fields.uint32(WHAT), fields.uint32(WHAT)];
  if (wide !== width || high !== height) {
    throw new CorruptError(`the alpha chunk is ${wide}x${high}, the picture ${width}x${height}`);
  }
  const [depth, colour, ...methods] = fields.take(5, WHAT);
  if (colour !== 0 || (depth !== 1 && depth !== 8) || methods.some((method) => method !== 0)) {
    throw new CorruptError("the alpha chunk is not a plain gray PNG of 1 or 8 bits");
  }
}

/** @param {Reader} reader behind IHDR */
function checkPixels(reader) {
  let found = section(reader);
  let count = 0;
  for (; found.kind === "IDAT"; count++) found = section(reader);
  if (count === 0 || found.kind !== "IEND") {
    throw new CorruptError("the alpha chunk holds more than plain pixels");
  }
  if (reader.left) throw new CorruptError("the alpha chunk goes on after its end");
}

/**
 * The kind and the body of the next section; its own CRC is left to the PNG decoder.
 * @param {Reader} reader
 */
function section(reader) {
  const head = new Reader(reader.take(8, WHAT));
  const size = head.uint32(WHAT);
  const kind = String.fromCharCode(...head.take(4, WHAT));
  const body = reader.take(size, WHAT);
  reader.take(4, WHAT);
  return { kind, body };
}
