/**
 * Reads files with hdcodec/web, for tests: node read.mjs WEIGHTS < LINES
 *
 * Each line is JSON: {path} or {base64}, the file; perhaps maxPixels; perhaps only: "container". For
 * each one line comes back: {found} or {error, message}, and the milliseconds it took.
 */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { HdcError, Models, Weights, info, unpack } from "../../hdcodec/web/index.js";

const folder = process.argv[2];
const names = ["entropy.safetensors"];
const files = new Map(names.map((name) => [name, bytes(readFileSync(`${folder}/${name}`))]));
const models = new Models();
models.add(new Weights(bytes(readFileSync(`${folder}/manifest.json`)), files));

/** A plain array of bytes, as a browser has it. */
function bytes(buffer) {
  return new Uint8Array(buffer);
}

function read({ path, base64, maxPixels, only }) {
  const data = bytes(path === undefined ? Buffer.from(base64, "base64") : readFileSync(path));
  const start = performance.now();
  try {
    const found = only === "container" ? facts(unpack(data, { maxPixels })) : info(data, models, { maxPixels });
    return { found, milliseconds: performance.now() - start };
  } catch (fault) {
    if (!(fault instanceof HdcError)) throw fault;
    return { error: fault.name, message: fault.message };
  }
}

function facts({ header, chunks, payload, headerBytes, chunkBytes }) {
  const sizes = [...chunks].map(([kind, content]) => [kind, content.length]);
  return { ...header, chunks: sizes, payload: payload.length, headerBytes, chunkBytes };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(read(JSON.parse(line)))}\n`);
}
