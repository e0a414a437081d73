/** The `hdc` family: what the parameters of its files mean, and their symbols. */

import { LatentFamily, hyperSize, isMapped } from "./latent_family.js";
import { rounded } from "./rounding.js";
import { KEPT_STEPS, SymbolCodec, symbolsSha256 } from "./symbols.js";
/** @import { Header } from "./header.js" */
/** @import { Decoder } from "./range.js" */
/** @import { HdcSymbols } from "./symbols.js" */
/** @import { Feeds } from "./families.js" */
/** @import { Tile } from "./tiles.js" */
/** @import { Weights } from "./weights.js" */

/** Pixels per latent along a side, and per number of the noise. */
const LATENT_STRIDE = 16;
const NOISE_STRIDE = 32;

/** One set of weights of the `hdc` family. */
export class Hdc extends LatentFamily {
  /** @param {Weights} weights */
  constructor(weights) {
    super(weights, {
      latentStride: LATENT_STRIDE,
      noiseStride: NOISE_STRIDE,
      noiseChannels: 2 * weights.size("drv"),
    });
    /** What a picture is drawn with unless asked otherwise. */
    this.fidelity = 0.75;
    /** @type {SymbolCodec | null} */
    this.codec = null;
  }

  /**
   * The symbols that `decoder` reads, of a picture coded at `width` x `height`. Throws
   * CorruptError, TruncatedError, WeightsError.
   * @param {Header} header
   * @param {number} width
   * @param {number} height
   * @param {Decoder} decoder
   */
  symbols({ flags, parameters: [kept, quality] }, width, height, decoder) {
    const mapped = isMapped(flags, "hdc");
    const [rows, columns] = hyperSize(width, height);
    this.codec ??= new SymbolCodec(this.entropy());
    return this.codec.read(decoder, rows, columns, quality, kept, mapped);
  }

  /**
   * A hash of all symbols, for comparing decoders.
   * @param {HdcSymbols} symbols
   */
  sha256(symbols) {
    return symbolsSha256(symbols);
  }

  /**
   * What the graph takes for what a tile sees: also which indices were sent.
   * @param {HdcSymbols} symbols
   * @param {Tile} tile
   * @param {number} fidelity 0..1
   * @returns {Feeds}
   */
  feeds(symbols, tile, fidelity) {
    const sent = tile.cut(symbols.indices, LATENT_STRIDE, symbols.latent.width, 1);
    const shape = tile.seen(LATENT_STRIDE).slice(2);
    return {
      ...super.feeds(symbols, tile, fidelity),
      indices: ["int64", BigInt64Array.from(sent, BigInt), shape],
      kept: ["bool", Uint8Array.from(sent, (index) => Number(index >= 0)), shape],
    };
  }

  /**
   * What `info` tells of a file of this family; the names are those of `hdc info`.
   * @param {Header} header
   * @param {HdcSymbols} symbols
   * @param {number} payload bytes of the range stream
   * @returns {Record<string, unknown>}
   */
  facts(header, symbols, payload) {
    const [kept] = header.parameters;
    const [lic, all] = [symbols.licUnits, symbols.licUnits + symbols.vqUnits];
    const licBytes = all ? rounded((payload * lic) / all) : payload;
    return {
      ...super.facts(header, symbols, payload),
      kept_fraction: Number(((kept * kept) / (KEPT_STEPS * KEPT_STEPS)).toFixed(4)),
      kept_indices: symbols.keptIndices,
      lic_bytes: licBytes,
      vq_bytes: payload - licBytes,
    };
  }
}
