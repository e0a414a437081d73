/** A whole file: header, chunks, range stream, checksum, checked in the order of docs/format.md. */

import { checkAlpha } from "./alpha.js";
import { Reader } from "./bytes.js";
import { crc32 } from "./checksum.js";
import {
  ChecksumError,
  CorruptError,
  HdcError,
  NotHdcError,
  TooLargeError,
  TruncatedError,
  UnsupportedVersionError,
} from "./errors.js";
import { EXTENDED, MAGIC, MAX_PIXELS, MAX_SIDE, PLAIN, parseHeader } from "./header.js";
/** @import { Header } from "./header.js" */

const END = 0;
export const ALPHA = 1;
export const EXIF = 2;
export const XMP = 3;
export const GRAY = 4;
const FIRST_OPTIONAL = 128;
const CHECKSUM_BYTES = 3;
export const MAX_FILE_BYTES = 2 ** 28 - 1;
const MAX_METADATA_BYTES = 2 ** 24;

/** @type {ReadonlyMap<number, string>} */
export const CHUNK_NAMES = new Map([
  [ALPHA, "alpha"],
  [EXIF, "exif"],
  [XMP, "xmp"],
  [GRAY, "gray"],
]);

/**
 * A parsed file. `chunks`: type to content, unknown optional ones included. `payload`: the range
 * stream. `headerBytes` (fields and checksum) + `chunkBytes` + payload.length is `bytes`, the size
 * of the file. `partial`: it is a beginning of a file, and the payload one of its range stream.
 * Contents and payload are views of the file's bytes.
 * @typedef {object} Container
 * @property {Header} header
 * @property {Map<number, Uint8Array>} chunks
 * @property {Uint8Array} payload
 * @property {number} headerBytes
 * @property {number} chunkBytes
 * @property {number} bytes
 * @property {boolean} partial
 */

/**
 * Parse and validate a whole file; nothing is allocated beyond what describes it.
 *
 * With `partial` it may also be a beginning of one: header, chunks and some of the range stream.
 * Its last three bytes are left out, since they may belong to the checksum. Whether it is a
 * beginning or damaged cannot be told.
 *
 * Throws NotHdcError, TruncatedError, ChecksumError, UnsupportedVersionError, UnknownModelError,
 * CorruptError, or TooLargeError (more than `maxPixels` pixels, or another limit).
 * @param {Uint8Array} data
 * @param {{ maxPixels?: number, partial?: boolean }} [options]
 * @returns {Container}
 */
export function unpack(data, { maxPixels = MAX_PIXELS, partial = false } = {}) {
  checkStart(data);
  if (data.length > MAX_FILE_BYTES) {
    throw new TooLargeError(`the file is larger than ${MAX_FILE_BYTES} bytes`);
  }
  const body = data.subarray(0, -CHECKSUM_BYTES);
  if (!checksumFits(data)) {
    if (partial) return { ...parse(body, maxPixels), partial };
    throw damage(body);
  }
  try {
    return parse(body, maxPixels);
  } catch (fault) {
    // The checksum is right, so the file says this of itself.
    if (fault instanceof TruncatedError) throw new CorruptError(fault.message);
    throw fault;
  }
}

/**
 * Tell a foreign file, a stub and a later version apart before any rule of these versions.
 * @param {Uint8Array} data
 */
function checkStart(data) {
  if (data.length === 0) throw new NotHdcError("the file is empty");
  if (MAGIC.some((byte, at) => at < data.length && data[at] !== byte)) {
    throw new NotHdcError("this is not an .hdc file");
  }
  const version = data.length > 2 ? data[2] >> 4 : PLAIN;
  if (version !== PLAIN && version !== EXTENDED) {
    throw new UnsupportedVersionError(
      `the file has format version ${version}, this release reads ${PLAIN} and ${EXTENDED}`,
    );
  }
  if (data.length < MAGIC.length + CHECKSUM_BYTES) {
    throw new TruncatedError("the data ends inside the header");
  }
}

/** @param {Uint8Array} data */
function checksumFits(data) {
  const size = data.length - CHECKSUM_BYTES;
  const stored = data[size] | (data[size + 1] << 8) | (data[size + 2] << 16);
  return stored === (crc32(data, size) & 0xffffff);
}

/**
 * Say of a file that fails its checksum whether it visibly ends too early.
 * @param {Uint8Array} body
 */
function damage(body) {
  try {
    parse(body, MAX_SIDE * MAX_SIDE);
  } catch (fault) {
    if (fault instanceof TruncatedError) return fault;
    if (!(fault instanceof HdcError)) throw fault;
  }
  return new ChecksumError("the file does not match its checksum: it is damaged or cut short");
}

/**
 * @param {Uint8Array} body all but the checksum
 * @param {number} maxPixels
 * @returns {Container}
 */
function parse(body, maxPixels) {
  const reader = new Reader(body);
  const { header, hasChunks } = parseHeader(reader);
  const { width, height } = header;
  if (width * height > maxPixels) {
    throw new TooLargeError(`${width}x${height} pixels are more than the limit of ${maxPixels}`);
  }
  const headerBytes = reader.position + CHECKSUM_BYTES;
  const chunks = hasChunks ? parseChunks(reader) : new Map();
  checkChunks(header, chunks);
  const chunkBytes = reader.position + CHECKSUM_BYTES - headerBytes;
  const payload = reader.take(reader.left, "range stream");
  const bytes = body.length + CHECKSUM_BYTES;
  return { header, chunks, payload, headerBytes, chunkBytes, bytes, partial: false };
}

/** @param {Reader} reader */
function parseChunks(reader) {
  /** @type {Map<number, Uint8Array>} */
  const chunks = new Map();
  let last = END;
  for (;;) {
    const kind = reader.byte("chunk list");
    if (kind === END) break;
    if (kind <= last) throw new CorruptError(`chunk ${kind} comes after chunk ${last}`);
    const size = reader.varint("chunk length");
    const name = CHUNK_NAMES.get(kind);
    chunks.set(kind, reader.take(size, name ? `${name} chunk` : `chunk ${kind}`));
    last = kind;
  }
  if (chunks.size === 0) throw new CorruptError("the chunk list is announced but empty");
  return chunks;
}

/**
 * @param {Header} header
 * @param {Map<number, Uint8Array>} chunks
 */
function checkChunks(header, chunks) {
  for (const kind of chunks.keys()) {
    if (!CHUNK_NAMES.has(kind) && kind < FIRST_OPTIONAL) {
      throw new UnsupportedVersionError(`chunk type ${kind} is not known to this release`);
    }
  }
  const metadata = (chunks.get(EXIF)?.length ?? 0) + (chunks.get(XMP)?.length ?? 0);
  if (metadata > MAX_METADATA_BYTES) {
    throw new TooLargeError(`the metadata is larger than ${MAX_METADATA_BYTES} bytes`);
  }
  if (chunks.get(GRAY)?.length) throw new CorruptError("the gray chunk is not empty");
  const alpha = chunks.get(ALPHA);
  if (alpha) checkAlpha(alpha, header.width, header.height);
}
