/** The `sprdiff` family: what the parameters of its files mean, and their symbols. */

import { CorruptError } from "./errors.js";
import { LatentFamily, hyperSize, isMapped } from "./latent_family.js";
import { LatentReader, sha256Of } from "./latents.js";
/** @import { Header } from "./header.js" */
/** @import { LatentSymbols } from "./latents.js" */
/** @import { Decoder } from "./range.js" */
/** @import { Weights } from "./weights.js" */

/** Latents per hyper-latent along a side. */
const CELLS = 2;
/** Pixels per latent along a side, and per number of the noise, where the VAE has its latents. */
const LATENT_STRIDE = 32;
const NOISE_STRIDE = 16;

/** One set of weights of the `sprdiff` family. Pictures are drawn in one step of the diffusion. */
export class Sprdiff extends LatentFamily {
  /** @param {Weights} weights */
  constructor(weights) {
    super(weights, {
      latentStride: LATENT_STRIDE,
      noiseStride: NOISE_STRIDE,
      noiseChannels: weights.size("vae", "latent"),
    });
    /** What a picture is drawn with unless asked otherwise. */
    this.fidelity = 0;
    /** @type {LatentReader | null} */
    this.reader = null;
  }

  /**
   * Throws CorruptError for parameters that no file may have.
   * @param {Header} header
   */
  check(header) {
    const [unused] = header.parameters;
    if (unused) throw new CorruptError(`the first parameter is ${unused}, not 0`);
    super.check(header);
  }

  /**
   * The symbols that `decoder` reads, of a picture coded at `width` x `height`. Throws
   * CorruptError, TruncatedError, WeightsError.
   * @param {Header} header
   * @param {number} width
   * @param {number} height
   * @param {Decoder} decoder
   */
  symbols({ flags, parameters: [, quality] }, width, height, decoder) {
    const mapped = isMapped(flags, "sprdiff");
    const [rows, columns] = hyperSize(width, height);
    this.reader ??= new LatentReader(this.entropy(), CELLS);
    return this.reader.readLatents(decoder, rows, columns, quality, mapped).found;
  }

  /**
   * A hash of all symbols, for comparing decoders.
   * @param {LatentSymbols} symbols
   */
  sha256({ offsets, z, y }) {
    return sha256Of([...(offsets ? [offsets] : []), z, y]);
  }
}
