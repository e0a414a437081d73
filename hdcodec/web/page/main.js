/** The page: what is chosen, dropped or named in the address becomes cards. */

import { MAX_FILE_BYTES, isPacket, join } from "../index.js";
import { Card } from "./card.js";
import { Decoder } from "./decoder.js";
import { SiteError, fetched } from "./site.js";

const START_BYTES = 2;
const MAGIC = [0xab, 0x48];

const find = (/** @type {string} */ name) =>
  /** @type {HTMLElement} */ (document.getElementById(name));
const cards = /** @type {Map<string, Card>} */ (new Map());
/** Packets by the image they are of. */
const packets = /** @type {Map<string, Uint8Array[]>} */ (new Map());
let decoder = /** @type {Decoder | null} */ (null);

/**
 * What is being fetched.
 * @param {number} loaded
 * @param {number} all
 */
function loading(loaded, all) {
  const place = find("loading");
  const bar = /** @type {HTMLProgressElement} */ (place.firstElementChild);
  bar.value = loaded / all;
  place.hidden = loaded >= all;
  const words = /** @type {HTMLElement} */ (place.lastElementChild);
  const text = `Loading the decoder, ${Math.ceil(all / 1e6)} MB`;
  if (words.textContent !== text) words.textContent = text;
}

/**
 * @param {string} key
 * @param {string} name
 */
function card(key, name) {
  const found = cards.get(key);
  if (found?.element.isConnected) return found;
  decoder ??= new Decoder(loading);
  const made = new Card(name, decoder);
  cards.set(key, made);
  document.body.classList.add("some");
  find("cards").prepend(made.element);
  return made;
}

/**
 * Open files of every kind, whatever their order.
 * @param {Iterable<File>} files
 */
async function take(files) {
  fault(null);
  const originals = [];
  const images = /** @type {Set<string>} */ (new Set());
  for (const file of files) {
    try {
      const start = new Uint8Array(await file.slice(0, START_BYTES).arrayBuffer());
      const known = isPacket(start) || MAGIC.every((byte, at) => start[at] === byte);
      if (!known && file.type.startsWith("image/")) originals.push(file);
      else await open(file, known ? MAX_FILE_BYTES + 1 : START_BYTES, images);
    } catch {
      fault(new Error(`${file.name} cannot be read`));
    }
  }
  images.forEach(joined);
  for (const file of originals) await compare(file);
}

/**
 * @param {File} file
 * @param {number} most bytes that are read of it
 * @param {Set<string>} images whose packets have come
 */
async function open(file, most, images) {
  const bytes = new Uint8Array(await file.slice(0, most).arrayBuffer());
  if (isPacket(bytes)) images.add(collect(bytes));
  else card(`${file.name} ${file.size} ${file.lastModified}`, file.name).open(bytes, false);
}

/**
 * One more packet of an image, whose id it gives; what came before its card was closed is forgotten.
 * @param {Uint8Array} packet
 */
function collect(packet) {
  const digits = (/** @type {number} */ byte) => byte.toString(16).padStart(2, "0");
  const image = Array.from(packet.subarray(2, 5), digits).join("");
  const shown = cards.get(`packets ${image}`);
  const earlier = shown && !shown.element.isConnected ? [] : (packets.get(image) ?? []);
  if (!earlier.length) cards.delete(`packets ${image}`);
  packets.set(image, [...earlier, packet]);
  return image;
}

/**
 * Show what the packets of an image make.
 * @param {string} image
 */
function joined(image) {
  const place = card(`packets ${image}`, `Packets of ${image}`);
  try {
    const { data, packets: there, count } = join(packets.get(image) ?? []);
    place.open(data, there < count, `${there} of ${count}`);
  } catch (fault) {
    place.fault(fault);
  }
}

/**
 * Lay an original over the picture of its name, of its size, or the newest one.
 * @param {File} file
 */
async function compare(file) {
  const image = await createImageBitmap(file).catch(() => null);
  const open = [...cards.values()].filter(({ element }) => element.isConnected).reverse();
  await Promise.all(open.map(({ ready }) => ready));
  const there = open.filter(({ size }) => size);
  const stem = (/** @type {string} */ name) => name.replace(/\.[^.]*$/, "");
  const own =
    there.find(({ name }) => stem(name) === stem(file.name)) ??
    there.find(({ size }) => size?.width === image?.width && size?.height === image?.height) ??
    there[0];
  if (own) own.compare(file.name, image);
  else fault(new Error(`${file.name} is a picture: open an .hdc file first to compare it with`));
}

/** @param {Error | null} what */
function fault(what) {
  find("fault").hidden = !what;
  find("fault").textContent = what?.message ?? "";
}

/**
 * The file that the address of the page names, of the same origin.
 * @param {string} place
 */
async function openNamed(place) {
  try {
    const address = new URL(place, location.href);
    if (address.origin !== location.origin) {
      throw new SiteError(`${address.host} is another place than this page: its files stay there`);
    }
    const bytes = new Uint8Array(await (await fetched(address)).arrayBuffer());
    const name = decodeURIComponent(address.pathname.split("/").pop() || "file.hdc");
    card(address.href, name).open(bytes, false);
  } catch (what) {
    fault(/** @type {Error} */ (what));
  }
}

/** Keep the site for use without a network, where the browser can. */
async function keep() {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  const list = new URL("../site.json", import.meta.url);
  const { version } = await (await fetched(list, { cache: "no-cache" })).json();
  await serviceWorker.register(new URL(`../sw.js?${version}`, import.meta.url));
}

function listen() {
  const chooser = /** @type {HTMLInputElement} */ (find("choose"));
  chooser.onchange = () => {
    const files = [...(chooser.files ?? [])];
    chooser.value = "";
    take(files);
  };
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    take(event.dataTransfer?.files ?? []);
  });
}

listen();
const named = new URLSearchParams(location.search).get("file");
if (named) openNamed(named);
keep().catch(() => {}); // without it the page works as long as there is a network
