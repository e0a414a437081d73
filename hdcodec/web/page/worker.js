/**
 * Decodes away from the page, one task after the other.
 *
 * A task comes as {number, task, key, ...}; for each comes {number, found} or {number, error}, and
 * before it {number, done}, the share of the work that is done. Between tasks there is {loading},
 * what is being fetched. A painting that another of the same file has made needless gives null.
 */

import {
  HdcError,
  codedSize,
  decoderOf,
  described,
  finished,
  readSymbols,
  toPng,
  toRgba,
  unpack,
} from "../index.js";
import { Engine } from "./engine.js";
import { Site, SiteError } from "./site.js";
/** @import { Container } from "../container.js" */
/** @import { Bytes } from "../lanczos.js" */

/** Pixels of a picture that is not refused: what a canvas on a phone can hold. */
const MAX_PIXELS = 2 ** 24;

/** @typedef {{ box: Container, symbols: any, picture: Bytes | null }} Opened */
/** @typedef {{ number: number, task: string, key: string, [name: string]: any }} Task */

/** Another painting of the same file is wanted. */
class Superseded extends Error {}

const opened = /** @type {Map<string, Opened>} */ (new Map());
const wanted = /** @type {Map<string, number>} */ (new Map());
/** Files whose tasks are not wanted any more. */
const forgotten = /** @type {Set<string>} */ (new Set());
const scope = /** @type {any} */ (globalThis);
let engine = /** @type {Promise<Engine> | null} */ (null);
let last = Promise.resolve();

async function started() {
  const site = await Site.open();
  site.onProgress = (loaded, all) => scope.postMessage({ loading: { loaded, all } });
  return new Engine(site);
}

/** @returns {Promise<Engine>} */
function running() {
  engine ??= started();
  engine.catch(() => (engine = null)); // so that it is tried again
  return engine;
}

/** @type {Record<string, (task: Task) => Promise<any>>} */
const TASKS = {
  /** The symbols of a file, which are kept, and what they say. */
  async open({ key, bytes, partial }) {
    const box = unpack(bytes, { maxPixels: MAX_PIXELS, partial });
    const found = await running();
    await found.open(box.header.model);
    const { models } = found;
    const { fidelity } = models.open(box.header.model);
    const decoder = decoderOf(box);
    const symbols = readSymbols(box, models, decoder);
    opened.set(key, { box, symbols, picture: null });
    const { width, height } = box.header;
    const facts = box.partial ? null : described(box, models, symbols);
    return { width, height, fidelity, facts, share: box.partial ? decoder.share : null };
  },

  async paint({ key, number, fidelity }) {
    const onTile = async (/** @type {number} */ done) => {
      scope.postMessage({ number, done });
      await new Promise((resume) => setTimeout(resume)); // later tasks are heard meanwhile
      if (wanted.get(key) !== number) throw new Superseded();
    };
    await onTile(0);
    const { box, symbols } = known(key);
    const painter = await (await running()).painter(box.header.model);
    await onTile(0);
    const size = codedSize(box.header);
    const data = await painter.paint(symbols, size, fidelity, { onTile });
    const picture = await finished(box, { ...size, channels: 3, data });
    known(key).picture = picture;
    return { width: picture.width, height: picture.height, rgba: toRgba(picture) };
  },

  async png({ key }) {
    const { box, picture } = known(key);
    return picture && toPng(box, picture);
  },
};

/** @param {string} key */
function known(key) {
  const found = opened.get(key);
  if (!found) throw new Superseded();
  return found;
}

/** @param {Task} task */
async function done(task) {
  try {
    if (forgotten.has(task.key)) throw new Superseded();
    const found = await TASKS[task.task](task);
    if (forgotten.has(task.key)) opened.delete(task.key);
    scope.postMessage({ number: task.number, found }, found?.rgba ? [found.rgba.buffer] : []);
  } catch (fault) {
    const { number } = task;
    if (fault instanceof Superseded) scope.postMessage({ number, found: null });
    else scope.postMessage({ number, error: told(fault) });
  }
}

/**
 * Name and message of a fault; what no module foresees is a lack of memory, mostly.
 * @param {unknown} fault
 */
function told(fault) {
  const { name, message } = fault instanceof Error ? fault : { name: "", message: String(fault) };
  if (fault instanceof HdcError || fault instanceof SiteError) return { name, message };
  const memory = fault instanceof RangeError || /alloc|memory/i.test(message);
  return { name, message: memory ? "not enough memory for this picture" : message };
}

scope.onmessage = (/** @type {{ data: Task }} */ { data }) => {
  if (data.task === "forget") {
    forgotten.add(data.key);
    opened.delete(data.key);
    wanted.delete(data.key);
    return;
  }
  if (data.task === "paint") wanted.set(data.key, data.number);
  last = last.then(() => done(data));
};
