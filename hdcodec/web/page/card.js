/** One file on the page: its picture, its facts and what can be done with it. */

/** @import { Decoder } from "./decoder.js" */

/** Kinds of errors of a file of which there may still be something to show. */
const CUT = ["ChecksumError", "TruncatedError"];
/** Pixels a side below which a picture is shown larger. */
const SMALL = 200;

let count = 0;

/** A file, or the packets of one. */
export class Card {
  /**
   * @param {string} name
   * @param {Decoder} decoder
   */
  constructor(name, decoder) {
    this.name = name;
    this.decoder = decoder;
    this.key = String(++count);
    /** @type {Uint8Array} */
    this.bytes = new Uint8Array(0);
    /** @type {{ width: number, height: number } | null} */
    this.size = null;
    /** Whether its symbols could be read. */
    this.ready = Promise.resolve(false);
    /** Whether someone has turned the dial, which until then is as its model has it. */
    this.turned = false;
    const template = /** @type {HTMLTemplateElement} */ (document.querySelector("template#card"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (copy.querySelector("article"));
    this.find("h2").textContent = name;
    this.element.setAttribute("aria-label", name);
    this.find(".close").setAttribute("aria-label", `Close ${name}`);
    this.dial = /** @type {HTMLInputElement} */ (this.find(".dial input"));
    this.listen();
  }

  /**
   * @param {string} selector
   * @returns {HTMLElement}
   */
  find(selector) {
    return /** @type {HTMLElement} */ (this.element.querySelector(selector));
  }

  listen() {
    const divider = /** @type {HTMLInputElement} */ (this.find(".divider"));
    const place = () => this.find(".stage").style.setProperty("--at", `${divider.value}%`);
    const original = /** @type {HTMLInputElement} */ (this.find(".tools input[type=file]"));
    place();
    divider.oninput = place;
    this.find(".close").onclick = () => this.close();
    this.find(".save").onclick = () => this.save();
    this.find(".rest button").onclick = () => this.open(this.bytes, true);
    this.dial.oninput = () => {
      this.turned = true;
      this.told();
      this.find(".stage").classList.add("stale");
    };
    this.dial.onchange = () => this.paint();
    original.onchange = () => {
      const [file] = original.files ?? [];
      const image = file && createImageBitmap(file).catch(() => null);
      image?.then((found) => this.compare(file.name, found));
      original.value = "";
    };
  }

  /** Say what the dial says in numbers. */
  told() {
    this.find("output").textContent = Number(this.dial.value).toFixed(2);
  }

  /** Take it off the page. */
  close() {
    this.decoder.forget(this.key);
    const { parentElement } = this.element;
    this.element.remove();
    if (!parentElement?.children.length) document.body.classList.remove("some");
    document.getElementById("choose")?.focus();
  }

  /**
   * Read a file or, with `partial`, a beginning of one, and show its picture.
   * @param {Uint8Array} bytes
   * @param {boolean} partial
   * @param {string} [note] what else is said of it
   */
  open(bytes, partial, note = "") {
    this.ready = this.read(bytes, partial, note);
    return this.ready.then((known) => (known ? this.paint() : undefined));
  }

  /**
   * @param {Uint8Array} bytes
   * @param {boolean} partial
   * @param {string} note
   */
  async read(bytes, partial, note) {
    this.bytes = bytes;
    this.fault(null);
    this.find(".rest").hidden = true;
    this.say("Reading", true);
    try {
      const found = await this.decoder.open(this.key, bytes, partial);
      if (!found) return false; // it was closed meanwhile
      this.size = { width: found.width, height: found.height };
      if (!this.turned) this.dial.value = String(found.fidelity);
      this.told();
      this.facts(found, note);
    } catch (fault) {
      const { name } = /** @type {Error} */ (fault);
      this.fault(fault);
      this.find(".rest").hidden = partial || !CUT.includes(name);
      return false;
    }
    return true;
  }

  /** Draw the picture as the dial says. */
  async paint() {
    this.fault(null);
    this.say("Decoding", true, 0);
    try {
      const show = (/** @type {number} */ done) => this.say("Decoding", true, done);
      const found = await this.decoder.paint(this.key, Number(this.dial.value), show);
      if (found) this.show(found);
    } catch (fault) {
      this.fault(fault);
    }
  }

  /** @param {{ width: number, height: number, rgba: Uint8ClampedArray<ArrayBuffer> }} picture */
  show({ width, height, rgba }) {
    const canvas = /** @type {HTMLCanvasElement} */ (this.find(".decoded"));
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d")?.putImageData(new ImageData(rgba, width, height), 0, 0);
    canvas.setAttribute("aria-label", `The decoded picture of ${this.name}`);
    this.find(".stage").classList.toggle("small", Math.max(width, height) < SMALL);
    this.find(".stage").classList.remove("stale");
    this.find(".stage").hidden = this.find(".tools").hidden = false;
    this.say("");
  }

  /**
   * @param {string} text
   * @param {boolean} [busy]
   * @param {number} [done]
   */
  say(text, busy = false, done) {
    const state = this.find(".state");
    const bar = /** @type {HTMLProgressElement} */ (this.find("progress"));
    if (done) bar.value = done;
    else bar.removeAttribute("value");
    state.classList.toggle("busy", busy);
    state.hidden = !text;
    const words = this.find(".state span");
    if (words.textContent !== text) words.textContent = text;
    this.element.setAttribute("aria-busy", String(busy));
  }

  /** @param {unknown} fault */
  fault(fault) {
    const place = this.find(".fault");
    place.hidden = fault === null;
    place.textContent = fault === null ? "" : /** @type {Error} */ (fault).message;
    if (fault !== null) this.say("");
  }

  /**
   * @param {any} found what the worker says of the file
   * @param {string} note
   */
  facts({ width, height, facts, share }, note) {
    const bytes = facts?.bytes ?? this.bytes.length;
    const rows = [["Size", `${width} × ${height}`]];
    const { coded_width: wide, coded_height: high } = facts ?? {};
    if (wide) rows.push(["Coded at", `${wide} × ${high}`]);
    rows.push(["File", `${bytes.toLocaleString("en")} bytes`]);
    rows.push(["Bits per pixel", ((8 * bytes) / (width * height)).toPrecision(3)]);
    const ratio = Math.round((3 * width * height) / bytes).toLocaleString("en");
    rows.push(["Against raw pixels", `1 : ${ratio}`]);
    if (facts) rows.push(["Quality", `${facts.quality}${facts.quality_map ? ", mapped" : ""}`]);
    const chunks = Object.keys(facts?.chunks ?? {});
    if (chunks.length) rows.push(["With", chunks.join(", ")]);
    if (note) rows.push(["Packets", note]);
    if (share !== null) rows.push(["Symbols there", `${Math.round(100 * share)} %`]);
    const parts = rows.map(([term, text]) => {
      const part = document.createElement("div");
      part.append(document.createElement("dt"), document.createElement("dd"));
      [part.children[0].textContent, part.children[1].textContent] = [term, text];
      return part;
    });
    this.find(".facts").replaceChildren(...parts);
    this.find("details").hidden = !facts;
    this.find("pre").textContent = JSON.stringify(facts, null, 1);
  }

  /** Hand the picture out as a file. */
  async save() {
    const blob = await this.decoder.png(this.key);
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${this.name.replace(/\.hdc$/i, "")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /**
   * Lay the original over the picture, up to a divider.
   * @param {string} name
   * @param {ImageBitmap | null} image
   */
  compare(name, image) {
    this.fault(null);
    if (!image) {
      this.fault(new Error(`${name}: this browser cannot open it as a picture`));
      return;
    }
    const { width, height } = this.size ?? image;
    if (image.width !== width || image.height !== height) {
      const sizes = `${image.width} x ${image.height} pixels, the file ${width} x ${height}`;
      this.fault(new Error(`${name} has ${sizes}: they are not of one picture`));
      return;
    }
    const canvas = /** @type {HTMLCanvasElement} */ (this.find(".original"));
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d")?.drawImage(image, 0, 0);
    canvas.setAttribute("aria-label", `The original, ${name}`);
    for (const part of this.element.querySelectorAll(".stage > [hidden]")) {
      /** @type {HTMLElement} */ (part).hidden = false;
    }
  }
}
