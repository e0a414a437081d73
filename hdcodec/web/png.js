/** PNG: the alpha channel of a file in, a decoded picture out. */

import { bigEndian } from "./bytes.js";
import { crc32 } from "./checksum.js";
import { CorruptError } from "./errors.js";
/** @import { Bytes } from "./lanczos.js" */

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const SECTION_BYTES = 12;
const HEAD_BYTES = 13;
const DEPTH_AT = 24;
/** Colour types by channels. */
const COLOURS = [-1, 0, 4, 2, 6];
const PAETH = 4;

/**
 * The pixels of a PNG that `checkAlpha` has accepted, a byte each. Throws CorruptError.
 * @param {Uint8Array} png
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Bytes>}
 */
export async function readAlpha(png, width, height) {
  const depth = png[DEPTH_AT];
  const line = Math.ceil((width * depth) / 8);
  const rows = await inflated(packed(png), height * (1 + line));
  const data = new Uint8Array(width * height);
  let before = new Uint8Array(line);
  for (let row = 0; row < height; row++) {
    const from = row * (1 + line);
    const own = rows.subarray(from + 1, from + 1 + line);
    unfilter(rows[from], own, before);
    for (let x = 0; x < width; x++) {
      data[row * width + x] = depth === 8 ? own[x] : 255 * ((own[x >> 3] >> (7 - (x & 7))) & 1);
    }
    before = own;
  }
  return { width, height, channels: 1, data };
}

/** @param {Uint8Array} png */
function packed(png) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  for (let at = SIGNATURE.length; at < png.length; ) {
    const size = bigEndian(png, at);
    if (String.fromCharCode(...png.subarray(at + 4, at + 8)) === "IDAT") {
      parts.push(png.slice(at + 8, at + 8 + size));
    }
    at += size + SECTION_BYTES;
  }
  return new Blob(parts);
}

/**
 * Exactly `size` bytes; what claims more is not unpacked further.
 * @param {Blob} content
 * @param {number} size
 */
async function inflated(content, size) {
  const found = new Uint8Array(size);
  const reader = content.stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let at = 0;
  for (;;) {
    /** @type {Uint8Array | undefined} */
    let value;
    try {
      ({ value } = await reader.read());
    } catch {
      throw new CorruptError("the alpha chunk cannot be decoded: its compression is damaged");
    }
    if (!value) break;
    if (at + value.length > size) {
      await reader.cancel();
      at = size + 1;
      break;
    }
    found.set(value, at);
    at += value.length;
  }
  if (at !== size) {
    throw new CorruptError("the alpha chunk does not have as many pixels as the picture");
  }
  return found;
}

/**
 * @param {number} kind
 * @param {Uint8Array} own a row, a byte a step, that becomes what it says
 * @param {Uint8Array} before the row above
 */
function unfilter(kind, own, before) {
  if (kind > PAETH) {
    throw new CorruptError("the alpha chunk cannot be decoded: it has an unknown filter");
  }
  for (let x = 0; x < own.length; x++) {
    const [left, corner] = x ? [own[x - 1], before[x - 1]] : [0, 0];
    const guesses = [0, left, before[x], (left + before[x]) >> 1];
    own[x] += kind === PAETH ? paeth(left, before[x], corner) : guesses[kind];
  }
}

/**
 * @param {number} left
 * @param {number} above
 * @param {number} corner
 */
function paeth(left, above, corner) {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/**
 * The PNG of a picture: gray, gray and alpha, RGB or RGBA by its channels, with EXIF (a TIFF
 * structure) and XMP if there are any.
 * @param {Bytes} picture
 * @param {{ exif?: Uint8Array, xmp?: Uint8Array }} [metadata]
 */
export async function writePng(picture, { exif, xmp } = {}) {
  const { width, height, channels } = picture;
  const head = new DataView(new ArrayBuffer(HEAD_BYTES));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 8);
  head.setUint8(9, COLOURS[channels]);
  const lines = new Blob([filtered(picture)]).stream();
  const content = await new Response(
    lines.pipeThrough(new CompressionStream("deflate")),
  ).arrayBuffer();
  const parts = [SIGNATURE, section("IHDR", new Uint8Array(head.buffer))];
  if (exif) parts.push(section("eXIf", exif));
  if (xmp) parts.push(section("iTXt", joined(ascii("XML:com.adobe.xmp\0\0\0\0\0"), xmp)));
  parts.push(section("IDAT", new Uint8Array(content)), section("IEND", new Uint8Array(0)));
  return new Blob(parts, { type: "image/png" });
}

/** @param {Bytes} picture */
function filtered({ width, height, channels, data }) {
  const line = width * channels;
  const found = new Uint8Array(height * (1 + line));
  for (let row = 0, at = 0; row < height; row++) {
    found[at++] = PAETH;
    for (let x = 0; x < line; x++) {
      const place = row * line + x;
      const above = row ? data[place - line] : 0;
      const left = x < channels ? 0 : data[place - channels];
      const corner = row && x >= channels ? data[place - line - channels] : 0;
      found[at++] = data[place] - paeth(left, above, corner);
    }
  }
  return found;
}

/**
 * @param {string} kind
 * @param {Uint8Array} body
 */
function section(kind, body) {
  const found = new Uint8Array(body.length + SECTION_BYTES);
  const view = new DataView(found.buffer);
  view.setUint32(0, body.length);
  found.set(ascii(kind), 4);
  found.set(body, 8);
  view.setUint32(8 + body.length, crc32(found.subarray(4), 4 + body.length));
  return found;
}

/** @param {string} text */
function ascii(text) {
  return Uint8Array.from(text, (sign) => sign.charCodeAt(0));
}

/**
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
function joined(one, other) {
  const found = new Uint8Array(one.length + other.length);
  found.set(one);
  found.set(other, one.length);
  return found;
}
