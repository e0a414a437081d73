/** The CRC-32 of zlib and PNG, of which a file holds the low 24 bits. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) {
    value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  }
  return value;
});

/**
 * The CRC-32 of the first `size` bytes, 0..2**32 - 1.
 * @param {Uint8Array} data
 * @param {number} size
 */
export function crc32(data, size = data.length) {
  let value = 0xffffffff;
  for (let at = 0; at < size; at++) {
    value = TABLE[(value ^ data[at]) & 255] ^ (value >>> 8);
  }
  return (value ^ 0xffffffff) >>> 0;
}
