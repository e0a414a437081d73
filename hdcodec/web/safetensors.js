/** Files of tensors, of the types that integer networks and tables have. */

import { WeightsError } from "./errors.js";

/**
 * @typedef {object} Tensor
 * @property {number[]} shape
 * @property {Int16Array | Int32Array} values row by row
 */

/** @typedef {Map<string, Tensor>} Tensors */

const LENGTH_BYTES = 8;
/** @type {ReadonlyMap<string, number>} bytes of a number */
const TYPES = new Map([
  ["I16", 2],
  ["I32", 4],
]);

/**
 * The tensors of a file. All of its header is checked against the size of the file before any
 * memory is taken for a tensor. Throws WeightsError; `name` is what it calls the file.
 * @param {Uint8Array} data
 * @param {string} name
 * @returns {Tensors}
 */
export function parseTensors(data, name) {
  const { entries, content } = parseHead(data, name);
  /** @type {[string, number[], string, number, number][]} */
  const places = entries.map(([key, entry]) => [key, ...place(key, entry, content.length, name)]);
  places.sort((one, other) => one[3] - other[3] || one[4] - other[4]);
  let end = 0;
  for (const [key, , , from, to] of places) {
    if (from !== end) throw refusal(name, `${key} does not begin where the one before it ends`);
    end = to;
  }
  if (end !== content.length) throw refusal(name, "there are bytes that belong to no tensor");
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  /** @type {Tensors} */
  const tensors = new Map();
  for (const [key, shape, type, from, to] of places) {
    tensors.set(key, { shape, values: read(view, type, from, to) });
  }
  return tensors;
}

/**
 * @param {Uint8Array} data
 * @param {string} name
 * @returns {{ entries: [string, unknown][], content: Uint8Array }}
 */
function parseHead(data, name) {
  if (data.length < LENGTH_BYTES) throw refusal(name, "it is too short");
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const size = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (size > data.length - LENGTH_BYTES) throw refusal(name, "its header is longer than the file");
  const start = LENGTH_BYTES + size;
  let found;
  try {
    const text = new TextDecoder("utf-8", { fatal: true });
    found = JSON.parse(text.decode(data.subarray(LENGTH_BYTES, start)));
  } catch {
    throw refusal(name, "its header is no JSON");
  }
  if (!isObject(found)) throw refusal(name, "its header is no object");
  const entries = Object.entries(found).filter(([key]) => key !== "__metadata__");
  return { entries, content: data.subarray(start) };
}

/**
 * @param {string} key
 * @param {unknown} entry
 * @param {number} size
 * @param {string} name
 * @returns {[number[], string, number, number]} shape, type, first byte and end of a tensor
 */
function place(key, entry, size, name) {
  if (!isObject(entry)) throw refusal(name, `${key} is not described`);
  const { dtype, shape, data_offsets: offsets } = entry;
  const bytes = TYPES.get(dtype);
  if (bytes === undefined) throw refusal(name, `${key} is of another type`);
  if (!areCounts(shape) || !areCounts(offsets) || offsets.length !== 2) {
    throw refusal(name, `${key} has no shape or place`);
  }
  const [from, to] = offsets;
  const count = shape.reduce((product, side) => product * side, 1);
  if (from > to || to > size || to - from !== bytes * count) {
    throw refusal(name, `${key} is not as long as it says`);
  }
  return [shape, dtype, from, to];
}

/**
 * A copy, lowest byte first whatever the machine's order is.
 * @param {DataView} view
 * @param {string} type
 * @param {number} from
 * @param {number} to
 */
function read(view, type, from, to) {
  if (type === "I16") {
    const values = new Int16Array((to - from) / 2);
    for (let k = 0; k < values.length; k++) values[k] = view.getInt16(from + 2 * k, true);
    return values;
  }
  const values = new Int32Array((to - from) / 4);
  for (let k = 0; k < values.length; k++) values[k] = view.getInt32(from + 4 * k, true);
  return values;
}

/**
 * @param {unknown} found
 * @returns {found is Record<string, any>}
 */
export function isObject(found) {
  return typeof found === "object" && found !== null && !Array.isArray(found);
}

/**
 * Whole numbers from 0 on; a product of theirs that is too large to be exact is larger than a file.
 * @param {unknown} found
 * @returns {found is number[]}
 */
function areCounts(found) {
  const isCount = (/** @type {unknown} */ one) => Number.isSafeInteger(one) && Number(one) >= 0;
  return Array.isArray(found) && found.every(isCount);
}

/**
 * @param {string} name
 * @param {string} reason
 */
function refusal(name, reason) {
  return new WeightsError(`${name} cannot be parsed: ${reason}`);
}
