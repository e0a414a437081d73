/** Reads .hdc files in plain JavaScript, in a browser and in Node alike: see docs/web.md. */

export { ALPHA, CHUNK_NAMES, EXIF, GRAY, MAX_FILE_BYTES, XMP, unpack } from "./container.js";
export {
  ChecksumError,
  CorruptError,
  HdcError,
  MissingWeightsError,
  NotHdcError,
  TooLargeError,
  TruncatedError,
  UnknownModelError,
  UnsupportedVersionError,
  WeightsError,
} from "./errors.js";
export { FAMILIES, Models } from "./families.js";
export { MAX_PIXELS, MAX_SIDE, codedSize } from "./header.js";
export { decoderOf, described, info, readSymbols } from "./info.js";
export { isPacket, join } from "./packets.js";
export { Painter } from "./painter.js";
export { finished, toPng, toRgba } from "./picture.js";
export { MODELS } from "./registry.js";
export { Weights } from "./weights.js";
