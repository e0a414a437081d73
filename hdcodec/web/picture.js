/** What is done to pixels after the networks: size, gray and alpha. */

import { ALPHA, EXIF, GRAY, XMP } from "./container.js";
import { resized } from "./lanczos.js";
import { readAlpha, writePng } from "./png.js";
/** @import { Container } from "./container.js" */
/** @import { Bytes } from "./lanczos.js" */

/**
 * The picture of a file: one channel for gray, two with alpha, else three or four. Throws
 * CorruptError where its alpha channel cannot be decoded.
 * @param {Container} box
 * @param {Bytes} coded RGB of the coded size
 * @returns {Promise<Bytes>}
 */
export async function finished({ header: { width, height }, chunks }, coded) {
  const png = chunks.get(ALPHA);
  const alpha = png && (await readAlpha(png, width, height));
  const rgb = resized(coded, width, height);
  const colours = chunks.has(GRAY) ? gray(rgb) : rgb;
  return alpha ? withAlpha(colours, alpha) : colours;
}

/**
 * As PNG, with the file's EXIF and XMP.
 * @param {Container} box
 * @param {Bytes} picture
 */
export function toPng({ chunks }, picture) {
  return writePng(picture, { exif: chunks.get(EXIF), xmp: chunks.get(XMP) });
}

/**
 * For a canvas.
 * @param {Bytes} picture
 */
export function toRgba({ width, height, channels, data }) {
  const found = new Uint8ClampedArray(width * height * 4).fill(255);
  const [colours, opaque] = [channels < 3 ? 1 : 3, channels % 2 === 1];
  for (let n = 0, from = 0, at = 0; n < width * height; n++, from += channels, at += 4) {
    for (let c = 0; c < 3; c++) found[at + c] = data[from + (colours === 3 ? c : 0)];
    if (!opaque) found[at + 3] = data[from + colours];
  }
  return found;
}

/**
 * @param {Bytes} rgb
 * @returns {Bytes}
 */
function gray({ width, height, data }) {
  const found = new Uint8Array(width * height);
  for (let n = 0; n < found.length; n++) {
    const at = 3 * n;
    found[n] = (19595 * data[at] + 38470 * data[at + 1] + 7471 * data[at + 2] + 32768) >> 16;
  }
  return { width, height, channels: 1, data: found };
}

/**
 * @param {Bytes} colours
 * @param {Bytes} alpha
 * @returns {Bytes}
 */
function withAlpha({ width, height, channels, data }, alpha) {
  const found = new Uint8Array(width * height * (channels + 1));
  for (let n = 0, at = 0; n < width * height; n++) {
    for (let c = 0; c < channels; c++) found[at++] = data[n * channels + c];
    found[at++] = alpha.data[n];
  }
  return { width, height, channels: channels + 1, data: found };
}
