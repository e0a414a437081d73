/** What families have in common whose files hold latents and whose quality is a parameter. */

import { CorruptError } from "./errors.js";
import { noise } from "./noise.js";
import { parseTensors } from "./safetensors.js";
import { QUALITIES } from "./tables.js";
/** @import { Feeds } from "./families.js" */
/** @import { Header } from "./header.js" */
/** @import { LatentSymbols } from "./latents.js" */
/** @import { Tile } from "./tiles.js" */
/** @import { Weights } from "./weights.js" */

/** Pixels per hyper-latent along a side, and of the tiles of a map of qualities. */
const STRIDE = 64;
const QINDEX_PER_QUALITY = 2;
const MAPPED = 1;
/** Characters along a side of the map of qualities that `facts` shows. */
const CHART = 64;
const ENTROPY = "entropy.safetensors";
const NETWORKS = "networks.safetensors";

/**
 * Where the graph has latents and noise: pixels along a side for each of them, and the numbers of
 * the noise at a place.
 * @typedef {{ latentStride: number, noiseStride: number, noiseChannels: number }} Places
 */

/** One set of weights of such a family; the second parameter of its files is the quality. */
export class LatentFamily {
  /**
   * @param {Weights} weights
   * @param {Places} places
   */
  constructor(weights, places) {
    this.weights = weights;
    this.places = places;
    /** What draws pixels: the graph, and the file that it takes its weights from. */
    this.graph = { name: "picture.onnx", tensors: NETWORKS };
  }

  /** The tensors of the integer networks. Throws WeightsError. */
  entropy() {
    return parseTensors(this.weights.read(ENTROPY), ENTROPY);
  }

  /**
   * Throws CorruptError for parameters that no file may have.
   * @param {Header} header
   */
  check({ parameters: [, quality] }) {
    if (quality >= QUALITIES) {
      throw new CorruptError(`the quality is ${quality}, outside 0..${QUALITIES - 1}`);
    }
  }

  /**
   * The fewest bytes that a range stream for so many pixels may have: one per 4 hyper-latents.
   * @param {number} width
   * @param {number} height
   */
  leastPayload(width, height) {
    const [rows, columns] = hyperSize(width, height);
    return Math.floor((rows * columns) / 4);
  }

  /**
   * Width and height of the padded picture.
   * @param {LatentSymbols} symbols
   */
  padded({ rows, columns }) {
    return { width: STRIDE * columns, height: STRIDE * rows };
  }

  /**
   * What the graph takes for what a tile sees.
   * @param {LatentSymbols} symbols
   * @param {Tile} tile
   * @param {number} fidelity 0..1
   * @returns {Feeds}
   */
  feeds({ columns, qindex, latent }, tile, fidelity) {
    const { latentStride, noiseStride, noiseChannels } = this.places;
    const { width, channels } = latent;
    const numbers = tile.cut(latent.values, latentStride, width, channels);
    const qualities = tile.cut(qindex, STRIDE, columns, 1);
    const [top, left, height, wide] = tile.seen(noiseStride);
    const drawn = noise(top, left, height, wide, noiseChannels);
    return {
      latent: ["int16", numbers, [...tile.seen(latentStride).slice(2), channels]],
      qindex: ["int64", BigInt64Array.from(qualities, BigInt), tile.seen(STRIDE).slice(2)],
      noise: ["float32", drawn, [height, wide, noiseChannels]],
      fidelity: ["float32", Float32Array.of(fidelity), [1]],
    };
  }

  /**
   * What `info` tells of a file of this family: quality, and its map if there is one.
   * @param {Header} header
   * @param {LatentSymbols} symbols
   * @param {number} _payload bytes of the range stream
   * @returns {Record<string, unknown>}
   */
  facts({ parameters: [, quality] }, symbols, _payload) {
    return {
      quality: quality / QINDEX_PER_QUALITY,
      ...(symbols.offsets && { quality_map: chart(symbols) }),
    };
  }
}

/**
 * Rows and columns of hyper-latents of a picture, and of its tiles of 64 x 64 pixels.
 * @param {number} width
 * @param {number} height
 */
export function hyperSize(width, height) {
  return [Math.ceil(height / STRIDE), Math.ceil(width / STRIDE)];
}

/**
 * Whether a file with these flags has a map of qualities. Throws CorruptError for others.
 * @param {number} flags
 * @param {string} family
 */
export function isMapped(flags, family) {
  if (flags & ~MAPPED) {
    throw new CorruptError(`the flags are ${flags}, of which ${family} has ${MAPPED} alone`);
  }
  return flags === MAPPED;
}

/**
 * The tens of the quality of each tile, 0 to 9, a row of the picture a text; of large pictures the
 * best within several tiles.
 * @param {LatentSymbols} symbols
 */
function chart({ qindex, rows, columns }) {
  const every = Math.ceil(Math.max(rows, columns) / CHART);
  const wide = Math.ceil(columns / every);
  const best = Array.from({ length: Math.ceil(rows / every) }, () => new Uint8Array(wide));
  qindex.forEach((quality, n) => {
    const row = best[Math.floor(n / columns / every)];
    const column = Math.floor((n % columns) / every);
    const tens = Math.min(9, Math.floor(quality / (10 * QINDEX_PER_QUALITY)));
    row[column] = Math.max(row[column], tens);
  });
  return best.map((row) => row.join(""));
}
