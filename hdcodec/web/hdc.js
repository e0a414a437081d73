/** The `hdc` family: what the parameters of its files mean, and their symbols. */

import { CorruptError } from "./errors.js";
import { noise } from "./noise.js";
import { rounded } from "./rounding.js";
import { parseTensors } from "./safetensors.js";
import { KEPT_STEPS, SymbolCodec, symbolsSha256 } from "./symbols.js";
import { QUALITIES } from "./tables.js";
/** @import { Header } from "./header.js" */
/** @import { Decoder } from "./range.js" */
/** @import { HdcSymbols } from "./symbols.js" */
/** @import { Feeds } from "./families.js" */
/** @import { Tile } from "./tiles.js" */
/** @import { Weights } from "./weights.js" */

/** Pixels per hyper-latent along a side, and of the tiles of a map of qualities. */
const STRIDE = 64;
const QINDEX_PER_QUALITY = 2;
const MAPPED = 1;
/** Signs a side of the map of qualities that `facts` shows. */
const CHART = 64;
/** Pixels per latent along a side, and per number of the noise. */
const LATENT_STRIDE = 16;
const NOISE_STRIDE = 32;
const ENTROPY = "entropy.safetensors";
const NETWORKS = "networks.safetensors";

/** One set of weights of the `hdc` family. */
export class Hdc {
  /** @param {Weights} weights */
  constructor(weights) {
    this.weights = weights;
    /** What draws pixels: the graph, and the file that it takes its weights from. */
    this.graph = { name: "picture.onnx", tensors: NETWORKS };
    /** Numbers of the noise at a place. */
    this.noiseChannels = 2 * weights.size("drv");
    /** @type {SymbolCodec | null} */
    this.codec = null;
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
    return Math.floor((Math.ceil(width / STRIDE) * Math.ceil(height / STRIDE)) / 4);
  }

  /**
   * The symbols that `decoder` reads, of a picture coded at `width` x `height`. Throws
   * CorruptError, TruncatedError, WeightsError.
   * @param {Header} header
   * @param {number} width
   * @param {number} height
   * @param {Decoder} decoder
   */
  symbols({ flags, parameters }, width, height, decoder) {
    if (flags & ~MAPPED) {
      throw new CorruptError(`the flags are ${flags}, of which hdc has ${MAPPED} alone`);
    }
    const [kept, quality] = parameters;
    const [rows, columns] = [Math.ceil(height / STRIDE), Math.ceil(width / STRIDE)];
    this.codec ??= new SymbolCodec(parseTensors(this.weights.read(ENTROPY), ENTROPY));
    return this.codec.read(decoder, rows, columns, quality, kept, flags === MAPPED);
  }

  /**
   * A hash of all symbols, for comparing decoders.
   * @param {HdcSymbols} symbols
   */
  sha256(symbols) {
    return symbolsSha256(symbols);
  }

  /**
   * Width and height of the padded picture.
   * @param {HdcSymbols} symbols
   */
  padded({ rows, columns }) {
    return { width: STRIDE * columns, height: STRIDE * rows };
  }

  /**
   * What the graph takes for what a tile sees.
   * @param {HdcSymbols} symbols
   * @param {Tile} tile
   * @param {number} fidelity 0..1
   * @returns {Feeds}
   */
  feeds({ columns, qindex, latent, indices }, tile, fidelity) {
    const { width, channels } = latent;
    const numbers = tile.cut(latent.values, LATENT_STRIDE, width, channels);
    const sent = tile.cut(indices, LATENT_STRIDE, width, 1);
    const qualities = tile.cut(qindex, STRIDE, columns, 1);
    const [top, left, height, wide] = tile.seen(NOISE_STRIDE);
    const drawn = noise(top, left, height, wide, this.noiseChannels);
    const shape = (/** @type {number} */ stride) => tile.seen(stride).slice(2);
    return {
      latent: ["int16", numbers, [...shape(LATENT_STRIDE), channels]],
      qindex: ["int64", BigInt64Array.from(qualities, BigInt), shape(STRIDE)],
      indices: ["int64", BigInt64Array.from(sent, BigInt), shape(LATENT_STRIDE)],
      kept: ["bool", Uint8Array.from(sent, (index) => Number(index >= 0)), shape(LATENT_STRIDE)],
      noise: ["float32", drawn, [height, wide, this.noiseChannels]],
      fidelity: ["float32", Float32Array.of(fidelity), [1]],
    };
  }

  /**
   * What `info` tells of a file of this family; the names are those of `hdc info`.
   * @param {Header} header
   * @param {HdcSymbols} symbols
   * @param {number} payload bytes of the range stream
   * @returns {Record<string, unknown>}
   */
  facts({ parameters: [kept, quality] }, symbols, payload) {
    const [lic, all] = [symbols.licUnits, symbols.licUnits + symbols.vqUnits];
    const licBytes = all ? rounded((payload * lic) / all) : payload;
    return {
      quality: quality / QINDEX_PER_QUALITY,
      ...(symbols.offsets && { quality_map: chart(symbols) }),
      kept_fraction: Number(((kept * kept) / (KEPT_STEPS * KEPT_STEPS)).toFixed(4)),
      kept_indices: symbols.keptIndices,
      lic_bytes: licBytes,
      vq_bytes: payload - licBytes,
    };
  }
}

/**
 * The tens of the quality of each tile, 0 to 9, a row of the picture a text; of large pictures the
 * best within several tiles.
 * @param {HdcSymbols} symbols
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
