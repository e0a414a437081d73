/** What an .hdc file says, without its pixels. */

import { CHUNK_NAMES, unpack } from "./container.js";
import { CorruptError } from "./errors.js";
import { MAX_PIXELS, codedSize } from "./header.js";
import { PrefixDecoder, RangeDecoder } from "./range.js";
import { MODELS } from "./registry.js";
/** @import { Container } from "./container.js" */
/** @import { Models } from "./families.js" */
/** @import { Decoder } from "./range.js" */

/** A beginning of a file claims at most so many times the pixels that a whole file can. */
const BEGINNING = 16;

/**
 * The symbols of a file or of a beginning of one, as its family has them. Throws
 * MissingWeightsError, WeightsError, CorruptError, TruncatedError.
 * @param {Container} box
 * @param {Models} models
 * @param {Decoder} [decoder] of `decoderOf`
 */
export function readSymbols(box, models, decoder = decoderOf(box)) {
  const { header, payload, partial } = box;
  const { width, height } = codedSize(header);
  const family = models.open(header.model);
  family.check(header);
  const least = Math.floor(family.leastPayload(width, height) / (partial ? BEGINNING : 1));
  if (payload.length < least) {
    throw new CorruptError(
      `a range stream of ${payload.length} bytes cannot hold ${width} x ${height} pixels`,
    );
  }
  return family.symbols(header, width, height, decoder);
}

/**
 * What reads the range stream of a file or of a beginning of one; of the latter it says how many of
 * the symbols that were asked for are known.
 * @param {Container} box
 * @returns {Decoder}
 */
export function decoderOf({ payload, partial }) {
  return partial ? new PrefixDecoder(payload) : new RangeDecoder(payload);
}

/**
 * Header fields, bytes per section, bits per pixel, hash of the symbols, under the names that
 * `hdc info --json` has. Throws every kind of HdcError that a damaged or hostile file can cause.
 * @param {Uint8Array} data
 * @param {Models} models
 * @param {{ maxPixels?: number }} [options]
 * @returns {Record<string, unknown>}
 */
export function info(data, models, { maxPixels = MAX_PIXELS } = {}) {
  const box = unpack(data, { maxPixels });
  return described(box, models, readSymbols(box, models));
}

/**
 * What `info` says of a whole file whose symbols have been read.
 * @param {Container} box
 * @param {Models} models
 * @param {any} symbols
 * @returns {Record<string, unknown>}
 */
export function described(box, models, symbols) {
  const { header } = box;
  const family = models.open(header.model);
  const { width, height } = codedSize(header);
  const smaller = width !== header.width || height !== header.height;
  const chunks = [...box.chunks].map(([kind, content]) => [
    CHUNK_NAMES.get(kind) ?? String(kind),
    content.length,
  ]);
  return {
    format: "hdc",
    version: header.version,
    model: MODELS.get(header.model)?.family,
    model_id: header.model,
    width: header.width,
    height: header.height,
    ...(smaller && { coded_width: width, coded_height: height }),
    bytes: box.bytes,
    bpp: fiveDigits((8 * box.bytes) / (header.width * header.height)),
    header_bytes: box.headerBytes,
    chunk_bytes: box.chunkBytes,
    ...family.facts(header, symbols, box.payload.length),
    chunks: Object.fromEntries(chunks),
    symbols_sha256: family.sha256(symbols),
  };
}

/**
 * Rounded to five digits as Python does it: of two that are as near, the even one. Both are as near
 * for odd multiples of 1 / 64 alone, which are their own doubles.
 * @param {number} value
 */
function fiveDigits(value) {
  const below = Math.floor(value * 1e5);
  if (value * 64 === Math.floor(value * 64) && (value * 64) % 2 === 1) {
    return (below + (below % 2)) / 1e5;
  }
  return Number(value.toFixed(5));
}
