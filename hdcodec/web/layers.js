/** The sums of integer networks, layer by layer; network.js says why they are exact. */

export const LOW = -32768;
export const HIGH = 32767;
/** What rounds a sum, which is divided by 2**12; it is part of a layer's bias. */
export const HALF = 2 ** 11;
const UNIT = 2 ** -12;
/** Positions whose sums a 1x1 layer makes at once. */
const ABREAST = 4;

/**
 * H x W x C numbers, by rows, columns, channels.
 * @typedef {object} Field
 * @property {Int16Array} values
 * @property {number} height
 * @property {number} width
 * @property {number} channels
 */

/**
 * One layer. `weight` of "pw" is stored outputs x inputs here, of "dw" 9 x channels; "up" has none.
 * `bias` holds the half that rounds, too.
 * @typedef {object} Layer
 * @property {"pw" | "dw" | "up"} kind
 * @property {number} least 0 where a rectifier follows
 * @property {number} inputs channels
 * @property {number} outputs channels; of "up" a quarter of its inputs, whatever they are
 * @property {Float64Array} weight
 * @property {Float64Array} bias
 */

/**
 * What a layer makes of a field.
 * @param {Layer} layer
 * @param {Field} field
 * @returns {Field}
 */
export function apply(layer, field) {
  const { values, height, width } = field;
  if (layer.kind === "up") return shuffled(field);
  const out = new Int16Array(height * width * layer.outputs);
  if (layer.kind === "dw") depthwise(layer, field, out);
  else pointwise(layer, values, out, 0, 1, height * width, 0, layer.outputs);
  return { values: out, height, width, channels: layer.outputs };
}

/**
 * Outputs `from` to `to` of a 1x1 layer at `count` positions, the first `first`, each `step` after
 * the one before; the others stay as they are. Four positions and two outputs take turns: what is
 * read serves eight products. Where fewer are left, the last ones are made again.
 * @param {Layer} layer
 * @param {Int16Array} values positions x inputs
 * @param {Int16Array} out positions x outputs
 * @param {number} first
 * @param {number} step
 * @param {number} count
 * @param {number} from
 * @param {number} to
 */
export function pointwise(layer, values, out, first, step, count, from, to) {
  const { inputs, outputs, weight, bias, least } = layer;
  const block = new Float64Array(ABREAST * inputs);
  const end = ABREAST * inputs;
  const last = first + (count - 1) * step;
  for (let n = 0; n < count; n += ABREAST) {
    const position = first + n * step;
    for (let lane = 0; lane < ABREAST; lane++) {
      const at = Math.min(position + lane * step, last) * inputs;
      for (let i = 0; i < inputs; i++) block[ABREAST * i + lane] = values[at + i];
    }
    const p0 = position * outputs;
    const p1 = Math.min(position + step, last) * outputs;
    const p2 = Math.min(position + 2 * step, last) * outputs;
    const p3 = Math.min(position + 3 * step, last) * outputs;
    for (let o = from; o < to; o += 2) {
      const p = o + 1 < to ? o + 1 : o;
      let a0 = bias[o], a1 = a0, a2 = a0, a3 = a0;
      let b0 = bias[p], b1 = b0, b2 = b0, b3 = b0;
      let u = o * inputs;
      let v = p * inputs;
      for (let j = 0; j < end; j += ABREAST) {
        const a = weight[u++];
        const b = weight[v++];
        const x0 = block[j];
        const x1 = block[j + 1];
        const x2 = block[j + 2];
        const x3 = block[j + 3];
        a0 += a * x0;
        b0 += b * x0;
        a1 += a * x1;
        b1 += b * x1;
        a2 += a * x2;
        b2 += b * x2;
        a3 += a * x3;
        b3 += b * x3;
      }
      out[p0 + o] = scaled(a0, least);
      out[p1 + o] = scaled(a1, least);
      out[p2 + o] = scaled(a2, least);
      out[p3 + o] = scaled(a3, least);
      out[p0 + p] = scaled(b0, least);
      out[p1 + p] = scaled(b1, least);
      out[p2 + p] = scaled(b2, least);
      out[p3 + p] = scaled(b3, least);
    }
  }
}

/**
 * A sum as 16 bits.
 * @param {number} sum
 * @param {number} least
 */
function scaled(sum, least) {
  const value = Math.floor(sum * UNIT);
  return value < least ? least : value > HIGH ? HIGH : value;
}

/**
 * A 3 x 3 layer, channel by channel, zeros around the field.
 * @param {Layer} layer
 * @param {Field} field
 * @param {Int16Array} out
 */
function depthwise({ weight, bias, least }, { values, height, width, channels }, out) {
  const size = width * channels;
  // The three rows of the window, with a column of zeros on either side.
  const rows = [0, 1, 2].map(() => new Float64Array(size + 2 * channels));
  const [above, own, below] = rows;
  for (let row = 0; row < height; row++) {
    for (let i = 0; i < 3; i++) {
      const y = row + i - 1;
      if (y < 0 || y >= height) rows[i].fill(0);
      else rows[i].set(values.subarray(y * size, (y + 1) * size), channels);
    }
    for (let c = 0; c < channels; c++) {
      const w0 = weight[c], w1 = weight[c + channels], w2 = weight[c + 2 * channels];
      const w3 = weight[c + 3 * channels], w4 = weight[c + 4 * channels];
      const w5 = weight[c + 5 * channels], w6 = weight[c + 6 * channels];
      const w7 = weight[c + 7 * channels], w8 = weight[c + 8 * channels];
      for (let left = c; left < size; left += channels) {
        const middle = left + channels;
        const right = middle + channels;
        let sum = bias[c] + w0 * above[left] + w1 * above[middle] + w2 * above[right];
        sum += w3 * own[left] + w4 * own[middle] + w5 * own[right];
        sum += w6 * below[left] + w7 * below[middle] + w8 * below[right];
        out[row * size + left] = scaled(sum, least);
      }
    }
  }
}

/**
 * Pixel-shuffle by 2: channel 4c + 2i + j goes to channel c at row offset i, column offset j.
 * @param {Field} field
 * @returns {Field}
 */
function shuffled({ values, height, width, channels }) {
  const quarter = channels / 4;
  const out = new Int16Array(values.length);
  for (let row = 0; row < 2 * height; row++) {
    for (let column = 0; column < 2 * width; column++) {
      const from = ((row >> 1) * width + (column >> 1)) * channels + 2 * (row & 1) + (column & 1);
      const to = (row * 2 * width + column) * quarter;
      for (let c = 0; c < quarter; c++) out[to + c] = values[from + 4 * c];
    }
  }
  return { values: out, height: 2 * height, width: 2 * width, channels: quarter };
}
