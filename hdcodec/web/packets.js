/** Packets of a file, joined: docs/packets.md. Those without the magic are not read here. */

import { crc32 } from "./checksum.js";
import { unpack } from "./container.js";
import { ChecksumError, CorruptError, HdcError, NotHdcError, TruncatedError } from "./errors.js";
import { MAX_SIDE } from "./header.js";

const MAGIC = [0xab, 0x50];
const IMAGE_BYTES = 3;
const CHECK_BYTES = 4;
const HEAD_AT = MAGIC.length;
const CHECK_AT = HEAD_AT + IMAGE_BYTES + 1;
const CONTENT_AT = CHECK_AT + CHECK_BYTES;
const PARITY = 0;
/** Bytes of a length within a parity packet. */
const LENGTH_BYTES = 2;

/**
 * One packet: the id of the image it belongs to with the count, its number of `count` (0 for
 * parity), its content.
 * @typedef {{ image: string, number: number, count: number, content: Uint8Array }} Packet
 */

/**
 * What packets of one image make: a file or a beginning of one, and how many of `count` are in it.
 * @typedef {{ data: Uint8Array, packets: number, count: number, dropped: number }} Joined
 */

/** @param {Uint8Array} data */
export function isPacket(data) {
  return MAGIC.every((byte, at) => data[at] === byte);
}

/**
 * Throws TruncatedError, NotHdcError, CorruptError.
 * @param {Uint8Array} data
 * @returns {Packet}
 */
function parsePacket(data) {
  if (!isPacket(data)) throw new NotHdcError("this is not a packet of an .hdc file");
  if (data.length <= CONTENT_AT) throw new TruncatedError("the packet ends inside its header");
  const content = data.subarray(CONTENT_AT);
  const checked = joined([data.subarray(HEAD_AT, CHECK_AT), content]);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (view.getUint32(CHECK_AT, true) !== crc32(checked, checked.length) >>> 0) {
    throw new CorruptError("the packet does not match its check");
  }
  const last = data[CHECK_AT - 1];
  const [number, count] = [last >> 4, last & 15];
  if (count === 0 || number > count) {
    throw new CorruptError(`the packet says that it is number ${number} of ${count}`);
  }
  const image = [...data.subarray(HEAD_AT, CHECK_AT - 1), count].join(" ");
  return { image, number, count, content };
}

/**
 * What packets of one image make, whatever their order. Damaged ones are dropped, and those of
 * other images than the one that most are of. Throws TruncatedError where the first packet is
 * missing, NotHdcError where there is no packet at all, and what `unpack` does where all of them
 * make no whole file.
 * @param {Uint8Array[]} packets
 * @returns {Joined}
 */
export function join(packets) {
  /** @type {Map<string, Packet[]>} */
  const images = new Map();
  for (const data of packets) {
    try {
      const packet = parsePacket(data);
      images.set(packet.image, [...(images.get(packet.image) ?? []), packet]);
    } catch (fault) {
      if (!(fault instanceof HdcError)) throw fault;
    }
  }
  if (!images.size) throw new NotHdcError("there is no packet of an .hdc file");
  const [most] = [...images.values()].sort((one, other) => numbers(other) - numbers(one));
  const own = ofOneSize(most);
  const { count } = own[0];
  const ends = own.filter(({ number }) => number === count);
  let wrong = null;
  for (const end of ends.length ? ends : [null]) {
    const some = own.filter((packet) => packet.number !== count || packet === end);
    const { data, there } = whole(rebuilt(some, count));
    try {
      if (there === count) unpack(data, { maxPixels: MAX_SIDE ** 2 });
      return { data, packets: there, count, dropped: packets.length - own.length };
    } catch (fault) {
      if (!(fault instanceof ChecksumError)) throw fault;
      wrong = fault; // the end may be that of another cut of the same file
    }
  }
  throw wrong;
}

/**
 * Those packets of a file that was cut twice, into as many but of other sizes, that most are of;
 * the last one, which is shorter, may be of either.
 * @param {Packet[]} own
 */
function ofOneSize(own) {
  const sizeOf = (/** @type {Packet} */ { number, content }) =>
    content.length - (number === PARITY ? LENGTH_BYTES : 0);
  const isLast = (/** @type {Packet} */ { number, count }) => number === count;
  /** @type {Map<number, Set<number>>} */
  const found = new Map();
  for (const packet of own) {
    if (isLast(packet)) continue;
    const size = sizeOf(packet);
    found.set(size, (found.get(size) ?? new Set()).add(packet.number));
  }
  if (found.size < 2) return own;
  const [[most]] = [...found].sort(([, one], [, other]) => other.size - one.size);
  return own.filter((p) => sizeOf(p) === most || (isLast(p) && sizeOf(p) < most));
}

/**
 * What is there up to the first gap, and how many packets that are.
 * @param {Map<number, Uint8Array>} parts
 */
function whole(parts) {
  let there = 0;
  while (parts.has(there + 1)) there++;
  if (!there) {
    throw new TruncatedError("the first packet is missing, without which there is no picture");
  }
  return { data: joined(Array.from({ length: there }, (_, k) => part(parts, k + 1))), there };
}

/** @param {Packet[]} own */
function numbers(own) {
  return new Set(own.map(({ number }) => number)).size;
}

/**
 * The contents by number, the one that is missing out of the parity packet.
 * @param {Packet[]} own
 * @param {number} count
 */
function rebuilt(own, count) {
  /** @type {Map<number, Uint8Array>} */
  const parts = new Map();
  for (const { number, content } of own) {
    if (!parts.has(number)) parts.set(number, content);
  }
  const parity = parts.get(PARITY);
  parts.delete(PARITY);
  const missing = Array.from({ length: count }, (_, k) => k + 1).filter((k) => !parts.has(k));
  if (missing.length === 1 && parity) {
    const lost = xor([parity, ...[...parts.values()].map(lengthened)]);
    const size = lost[0] | (lost[1] << 8);
    if (size <= lost.length - LENGTH_BYTES) {
      parts.set(missing[0], lost.slice(LENGTH_BYTES, LENGTH_BYTES + size));
    }
  }
  return parts;
}

/**
 * @param {Map<number, Uint8Array>} parts
 * @param {number} number
 */
function part(parts, number) {
  return parts.get(number) ?? new Uint8Array(0);
}

/** @param {Uint8Array} content */
function lengthened(content) {
  return joined([Uint8Array.of(content.length & 255, content.length >> 8), content]);
}

/** @param {Uint8Array[]} parts */
function xor(parts) {
  const found = new Uint8Array(Math.max(...parts.map(({ length }) => length)));
  for (const one of parts) one.forEach((byte, at) => (found[at] ^= byte));
  return found;
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const found = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const one of parts) {
    found.set(one, at);
    at += one.length;
  }
  return found;
}
