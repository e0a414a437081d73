/**
 * Integer networks. Numbers between layers are whole numbers of 16 bits in units of 2**-10; sums
 * within a layer are doubles. A network is refused unless every sum on any input stays below 2**53
 * (`bound`), so all sums are exact, in any order; the division by 2**12 is exact as well.
 */

import { WeightsError } from "./errors.js";
import { HALF, LOW, apply } from "./layers.js";
/** @import { Field, Layer } from "./layers.js" */
/** @import { Tensor, Tensors } from "./safetensors.js" */

const EXACT_LIMIT = 2 ** 53;

/** A chain of integer layers. */
export class IntNet {
  /**
   * The network stored as `name.NUMBER.KIND[.relu].weight` and `.bias`, for input of `channels`.
   * Throws WeightsError.
   * @param {Tensors} tensors
   * @param {string} name
   * @param {number} channels
   */
  constructor(tensors, name, channels) {
    const stems = stemsOf(tensors, name);
    if (!stems.length) throw new WeightsError(`the entropy networks lack '${name}'`);
    /** @type {Layer[]} */
    this.layers = [];
    this.inputs = channels;
    for (const [number, stem] of stems.entries()) {
      const layer = readLayer(tensors, name, stem, channels);
      if (!(bound(layer) < EXACT_LIMIT)) {
        throw new WeightsError(`integer network: layer ${number} could overflow exact arithmetic`);
      }
      this.layers.push(layer);
      channels = layer.outputs;
    }
    this.outputs = channels;
    /** Rows of input above and below an output that it depends on. */
    this.reach = reachOf(this.layers);
    /** How many rows and columns of output there are for each of input. */
    this.scale = 2 ** this.layers.filter((layer) => layer.kind === "up").length;
  }

  /**
   * What the first `count` layers, all unless given, make of a field.
   * @param {Field} field
   * @param {number} count
   * @returns {Field}
   */
  run(field, count = this.layers.length) {
    let found = field;
    for (const layer of this.layers.slice(0, count)) found = apply(layer, found);
    return found;
  }
}

/**
 * @param {Tensors} tensors
 * @param {string} name
 * @returns {string[]} the layers of a network, in the order of their numbers
 */
function stemsOf(tensors, name) {
  const prefix = `${name}.`;
  const stems = new Set();
  for (const key of tensors.keys()) {
    if (key.startsWith(prefix)) stems.add(key.slice(prefix.length, key.lastIndexOf(".")));
  }
  return [...stems].sort((one, other) => parseInt(one, 10) - parseInt(other, 10));
}

/**
 * @param {Tensors} tensors
 * @param {string} name
 * @param {string} stem
 * @param {number} channels
 * @returns {Layer}
 */
function readLayer(tensors, name, stem, channels) {
  const [, kind, ...relu] = stem.split(".");
  const least = relu.length ? 0 : LOW;
  const empty = new Float64Array(0);
  if (kind === "up") {
    if (channels % 4) throw misfit(name, stem);
    return { kind, least, inputs: channels, outputs: channels / 4, weight: empty, bias: empty };
  }
  const found = part(tensors, name, `${stem}.weight`);
  const added = part(tensors, name, `${stem}.bias`);
  const [rows, outputs] = found.shape;
  const fits = kind === "pw" ? rows === channels : rows === 9 && outputs === channels;
  if (found.shape.length !== 2 || !fits || added.values.length !== outputs || !outputs) {
    throw misfit(name, stem);
  }
  const bias = Float64Array.from(added.values, (value) => value + HALF);
  if (kind === "dw") {
    const weight = Float64Array.from(found.values);
    return { kind, least, inputs: channels, outputs, weight, bias };
  }
  if (kind !== "pw") throw misfit(name, stem);
  const weight = new Float64Array(found.values.length);
  for (let i = 0; i < rows; i++) {
    for (let o = 0; o < outputs; o++) weight[o * rows + i] = found.values[i * outputs + o];
  }
  return { kind, least, inputs: rows, outputs, weight, bias };
}

/**
 * @param {Tensors} tensors
 * @param {string} name
 * @param {string} key
 * @returns {Tensor}
 */
function part(tensors, name, key) {
  const found = tensors.get(`${name}.${key}`);
  if (!found) throw new WeightsError(`the entropy network '${name}' lacks '${key}'`);
  return found;
}

/**
 * @param {string} name
 * @param {string} stem
 */
function misfit(name, stem) {
  const layer = `${name}.${stem}`;
  return new WeightsError(`entropy.safetensors does not fit the model: ${layer} is another layer`);
}

/**
 * The largest magnitude that a sum of a layer can reach on input of 16 bits.
 * @param {Layer} layer
 */
function bound({ kind, inputs, outputs, weight, bias }) {
  let most = 0;
  for (let o = 0; o < (kind === "up" ? 0 : outputs); o++) {
    let sum = Math.abs(bias[o]) + 2 * HALF;
    if (kind === "pw") {
      for (let i = 0; i < inputs; i++) sum += Math.abs(weight[o * inputs + i]) * -LOW;
    } else {
      for (let k = 0; k < 9; k++) sum += Math.abs(weight[k * outputs + o]) * -LOW;
    }
    most = Math.max(most, sum);
  }
  return most;
}

/** @param {Layer[]} layers */
function reachOf(layers) {
  let rows = 0;
  let scale = 1;
  for (const { kind } of layers) {
    if (kind === "dw") rows += 1 / scale;
    if (kind === "up") scale *= 2;
  }
  return Math.ceil(rows);
}
