/** Measures hdcodec/web in Node or in a browser; web.py starts it. */

import { Models, Weights, readSymbols, unpack } from "../hdcodec/web/index.js";

const ENTROPY = "entropy.safetensors";

/**
 * The hash of the symbols of a file, and the seconds that they took: at first, with the check of
 * the weights and a program that is not yet compiled, and then again and again.
 * @param {(name: string) => Promise<Uint8Array>} load the manifest, the weights and file.hdc
 * @param {number} runs
 */
export async function measure(load, runs) {
  const names = ["manifest.json", ENTROPY, "file.hdc"];
  const [manifest, entropy, file] = await Promise.all(names.map(load));
  const start = performance.now();
  const models = new Models();
  models.add(new Weights(manifest, new Map([[ENTROPY, entropy]])));
  const box = unpack(file);
  let symbols = readSymbols(box, models);
  const first = (performance.now() - start) / 1000;
  const later = [];
  for (let run = 0; run < runs; run++) {
    const again = performance.now();
    symbols = readSymbols(box, models);
    later.push((performance.now() - again) / 1000);
  }
  return { first, later, sha256: models.open(box.header.model).sha256(symbols) };
}
