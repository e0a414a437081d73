/** The registered model ids; hdcodec/format/registry.py is the same list. */

/**
 * What an id in a header stands for.
 * @typedef {object} Model
 * @property {string} family the kind of networks, a key of FAMILIES in families.js
 * @property {number} parameters how many numbers of the header are the family's
 * @property {string} release the first of hdcodec that ships the weights
 */

/** @type {ReadonlyMap<number, Model>} */
export const MODELS = new Map([
  [1, { family: "hdc", parameters: 2, release: "0.1" }],
  [2, { family: "sprdiff", parameters: 2, release: "0.2" }],
]);
