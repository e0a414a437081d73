/**
 * Runs hdcodec/web for tests and benchmarks: node driver.mjs WEIGHTS < REQUESTS
 *
 * A request is a line of JSON whose `what` is one of the functions below; bytes are {path},
 * {base64} or {zeros: count}, so many bytes that begin as a file does. For each one comes a line:
 * {found, milliseconds} or {error, message}, the name and message of an HdcError. Any other error
 * ends the program.
 */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { crc32 } from "../../hdcodec/web/checksum.js";
import * as web from "../../hdcodec/web/index.js";
import { unpacked } from "../../hdcodec/web/eight.js";
import { resized } from "../../hdcodec/web/lanczos.js";
import { IntNet } from "../../hdcodec/web/network.js";
import { noise } from "../../hdcodec/web/noise.js";
import { readAlpha, writePng } from "../../hdcodec/web/png.js";
import { RangeDecoder } from "../../hdcodec/web/range.js";
import { parseTensors } from "../../hdcodec/web/safetensors.js";
import { sha256 } from "../../hdcodec/web/sha256.js";
import { SymbolCodec, symbolsSha256 } from "../../hdcodec/web/symbols.js";
import { Levels, Softmax } from "../../hdcodec/web/tables.js";
import { tiles } from "../../hdcodec/web/tiles.js";

/** Plain bytes, as a browser has them. */
function bytes({ path, base64, zeros }) {
  if (zeros !== undefined) {
    const found = new Uint8Array(zeros);
    found.set([0xab, 0x48, 0x10]); // else a file of nothing but zeros is none
    return found;
  }
  return new Uint8Array(path === undefined ? Buffer.from(base64, "base64") : readFileSync(path));
}

function base64({ buffer, byteOffset, byteLength }) {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}

function weightsIn(folder, names = ["entropy.safetensors"]) {
  const files = new Map(names.map((name) => [name, bytes({ path: `${folder}/${name}` })]));
  return new web.Weights(bytes({ path: `${folder}/manifest.json` }), files);
}

const models = new web.Models();
for (const folder of process.argv.slice(2)) models.add(weightsIn(folder));

const FUNCTIONS = {
  info: (request) => web.info(bytes(request), models, request),

  container(request) {
    const { header, chunks, ...rest } = web.unpack(bytes(request), request);
    const contents = [...chunks].map(([kind, content]) => [kind, sha256(content)]);
    return { ...header, chunks: contents, ...rest, payload: sha256(rest.payload) };
  },

  /** The hash of the symbols of a file, or of a beginning of one. */
  symbols(request) {
    const box = web.unpack(bytes(request), request);
    return models.open(box.header.model).sha256(web.readSymbols(box, models));
  },

  /** The same, with networks that run on bands of at least so many positions, and with the tensors
   *  that `more` names. */
  banded({ positions, more = [], ...request }) {
    const { header, payload } = web.unpack(bytes(request));
    const { width, height } = web.codedSize(header);
    const tensors = parseTensors(models.open(1).weights.read("entropy.safetensors"), "x");
    for (const name of more) tensors.set(name, { shape: [1], values: Int16Array.of(1) });
    const codec = new SymbolCodec(tensors, positions);
    const [rows, columns] = [height, width].map((side) => Math.ceil(side / 64));
    const [kept, quality] = header.parameters;
    const decoder = new RangeDecoder(payload);
    return symbolsSha256(codec.read(decoder, rows, columns, quality, kept, header.flags === 1));
  },

  registry: () => ({
    models: [...web.MODELS],
    families: [...web.FAMILIES.keys()],
    fidelities: [...web.MODELS.keys()].map((id) => models.open(id).fidelity),
  }),

  limits: () => ({ pixels: web.MAX_PIXELS, side: web.MAX_SIDE, chunks: [...web.CHUNK_NAMES] }),

  /** A file with weights from another folder or with none. */
  weights(request) {
    const found = new web.Models();
    if (request.folder) found.add(weightsIn(request.folder, request.names));
    return web.info(bytes(request), found);
  },

  /** Make files of another model readable, whose weights lie in a folder. */
  register({ id, model, folder }) {
    web.MODELS.set(id, model);
    models.add(weightsIn(folder));
  },

  /** Of each tile what the graph takes: name of an input to type, bytes in base64 and shape. */
  feeds({ area, fidelity, ...request }) {
    const box = web.unpack(bytes(request));
    const family = models.open(box.header.model);
    const symbols = web.readSymbols(box, models);
    const { height, width } = family.padded(symbols);
    const told = ([name, [type, numbers, shape]]) => [name, [type, base64(numbers), shape]];
    return tiles(height, width, area).map((tile) =>
      Object.fromEntries(Object.entries(family.feeds(symbols, tile, fidelity)).map(told)),
    );
  },

  hashes: (request) => [sha256(bytes(request)), crc32(bytes(request))],

  /** Symbols by tables of frequencies, and what they carry. */
  range(request) {
    const decoder = new RangeDecoder(bytes(request));
    const symbols = request.tables.map((table) => {
      const sums = Int32Array.from(table);
      for (let k = 0, sum = 0; k < table.length; sum += table[k++]) sums[k] = sum;
      const symbol = decoder.symbol(sums, 0, sums.length);
      if (request.checked) decoder.check();
      return symbol;
    });
    return { symbols, units: decoder.units };
  },

  tensors(request) {
    const found = [...parseTensors(bytes(request), "x")];
    return found.map(([key, { shape, values }]) => [key, shape, [...values]]);
  },

  /** What the network `net` makes of a field. */
  network({ channels, height, width, input, ...request }) {
    const net = new IntNet(parseTensors(bytes(request), "x"), "net", channels);
    return [...net.run({ values: Int16Array.from(input), height, width, channels }).values];
  },

  /** Frequencies of indices, row by row, and the largest of each. */
  softmax({ codes, logits, ...request }) {
    const softmax = new Softmax(parseTensors(bytes(request), "x"), codes);
    const values = Int16Array.from(logits);
    const rows = [];
    for (let at = 0; at < values.length; at += codes) {
      const largest = softmax.read(values, at);
      rows.push([largest, [...softmax.sums]]);
    }
    return rows;
  },

  noise: ({ place }) => [...noise(...place)],

  /** Rows and columns of each tile: low, start, stop, high. */
  tiles({ height, width, area }) {
    const spans = tiles(height, width, area).map(({ rows, columns }) => [rows, columns]);
    return spans.map((pair) => pair.map((span) => Object.values(span)));
  },

  /** What tiles see of a picture of one channel, put together again, without the padding. */
  pasted({ height, width, area, shown, ...request }) {
    const [values, found] = [bytes(request), new Uint8Array(shown[0] * shown[1])];
    for (const tile of tiles(height, width, area)) {
      tile.paste(found, tile.cut(values, 1, width, 1), shown[1], shown[0], 1);
    }
    return sha256(found);
  },

  resized({ width, height, channels, to, ...request }) {
    return [...resized({ width, height, channels, data: bytes(request) }, ...to).data];
  },

  alpha: async ({ width, height, ...request }) =>
    [...(await readAlpha(bytes(request), width, height)).data],

  /** A PNG in base64. */
  async png({ width, height, channels, exif, ...request }) {
    const picture = { width, height, channels, data: bytes(request) };
    const blob = await writePng(picture, exif && { exif: bytes(exif), xmp: bytes(exif) });
    return base64(new Uint8Array(await blob.arrayBuffer()));
  },

  eight: (request) => sha256(unpacked(bytes(request))),

  /** Packets, as bytes in base64, and what they make. */
  joined({ packets }) {
    const { data, ...rest } = web.join(packets.map((base64) => bytes({ base64 })));
    return { ...rest, data: base64(data) };
  },

  levels({ qualities, ...request }) {
    const levels = new Levels(parseTensors(bytes(request), "x"), "levels");
    const row = new Float64Array(levels.columns);
    return qualities.map((quality) => {
      levels.row(quality, row);
      return [...row];
    });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const start = performance.now();
  let answer;
  try {
    const found = await FUNCTIONS[request.what](request);
    answer = { found, milliseconds: performance.now() - start };
  } catch (fault) {
    if (!(fault instanceof web.HdcError)) throw fault;
    answer = { error: fault.name, message: fault.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
