"use strict";

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });

const REACH = 24; // pixels beside the divider that still take hold of it
const STEP = 0.02; // of the width, for an arrow key
const ZOOM_STEP = 1.5;
const MOST = 16; // screen pixels for a picture's pixel

/** Pictures in one place with a divider between two of them; zoom and position are shared. */
class Stage {
  constructor(root, alone) {
    this.root = root;
    this.view = root.querySelector(".view");
    this.figures = [...this.view.querySelectorAll("figure")];
    this.divider = root.querySelector(".divider");
    const attribute = (name) => Number(this.figures[0].firstChild.getAttribute(name));
    this.size = { x: attribute("width"), y: attribute("height") };
    this.shown = { left: 0, right: 1 };
    this.position = 0.5;
    this.scale = 0; // 0: as large as fits
    this.offset = { x: 0, y: 0 };
    this.pointers = new Map();
    root.classList.add("live");
    this.listen(alone);
    this.choose("left", 0);
    new ResizeObserver(() => this.draw()).observe(this.view);
  }

  listen(alone) {
    for (const side of ["left", "right"]) {
      this.buttons(side).forEach((button, index) =>
        button.addEventListener("click", () => this.choose(side, index)));
    }
    const zooms = {
      out: () => this.zoom(1 / ZOOM_STEP), in: () => this.zoom(ZOOM_STEP),
      fit: () => this.fit(), one: () => this.zoomTo(1 / devicePixelRatio), full: () => this.full(),
    };
    for (const button of this.root.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", zooms[button.dataset.zoom]);
    }
    (alone ? document : this.root).addEventListener("keydown", (event) => this.key(event));
    this.view.addEventListener("pointerdown", (event) => this.down(event));
    this.view.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.view.addEventListener(end, (event) => this.up(event));
    }
    this.view.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.view.addEventListener("dblclick", (event) => {
      if (this.scale) this.fit();
      else this.zoomTo(Math.max(1 / devicePixelRatio, 2 * this.fitting), this.place(event));
    });
  }

  buttons(side) {
    return [...this.root.querySelectorAll(`.picker.${side} button`)];
  }

  /** Show a picture on one side; the other side takes what was here if both would be the same. */
  choose(side, index) {
    const other = side === "left" ? "right" : "left";
    if (index >= this.figures.length) return;
    if (this.shown[other] === index) this.shown[other] = this.shown[side];
    this.shown[side] = index;
    this.figures.forEach((figure, number) => {
      figure.className = ["left", "right"].find((one) => this.shown[one] === number) ?? "away";
    });
    for (const one of ["left", "right"]) {
      this.buttons(one).forEach((button, number) =>
        button.setAttribute("aria-pressed", String(this.shown[one] === number)));
    }
    this.draw();
  }

  get box() {
    return { x: this.view.clientWidth, y: this.view.clientHeight };
  }

  get fitting() {
    return Math.min(this.box.x / this.size.x, this.box.y / this.size.y);
  }

  place(event) {
    const edge = this.view.getBoundingClientRect();
    return { x: event.clientX - edge.left, y: event.clientY - edge.top };
  }

  draw() {
    const { box, size, offset } = this;
    const scale = this.scale || this.fitting;
    for (const axis of ["x", "y"]) {
      const spare = box[axis] - size[axis] * scale;
      offset[axis] = spare >= 0 ? spare / 2 : clamp(this.scale ? offset[axis] : 0, spare, 0);
    }
    const style = this.view.style;
    style.setProperty("--at", `${this.position * box.x}px`);
    style.setProperty("--transform", `translate(${offset.x}px, ${offset.y}px) scale(${scale})`);
    this.view.classList.toggle("zoomed", this.scale > 0);
    this.view.classList.toggle("coarse", scale * devicePixelRatio >= 2);
    this.root.querySelector(".scale").value = `${Math.round(scale * devicePixelRatio * 100)} %`;
    this.tell();
  }

  tell() {
    const percent = Math.round(this.position * 100);
    const [left, right] = ["left", "right"].map((side) =>
      this.figures[this.shown[side]].querySelector("b").textContent);
    this.divider.setAttribute("aria-valuenow", percent);
    this.divider.setAttribute("aria-valuetext", `${left} ${percent} %, ${right} ${100 - percent} %`);
  }

  moveTo(position) {
    this.position = clamp(position, 0, 1);
    this.draw();
  }

  fit() {
    this.scale = 0;
    this.draw();
  }

  zoom(factor, point) {
    this.zoomTo((this.scale || this.fitting) * factor, point);
  }

  /** Zoom so that what is at a point of the view stays there. */
  zoomTo(wanted, point = { x: this.box.x / 2, y: this.box.y / 2 }) {
    const before = this.scale || this.fitting;
    const most = Math.max(MOST / devicePixelRatio, this.fitting);
    const after = clamp(wanted, Math.min(this.fitting, 1 / devicePixelRatio), most);
    for (const axis of ["x", "y"]) {
      this.offset[axis] = point[axis] - (point[axis] - this.offset[axis]) * (after / before);
    }
    this.scale = Math.abs(after / this.fitting - 1) < 1e-3 ? 0 : after;
    this.draw();
  }

  pan(x, y) {
    this.offset.x += x;
    this.offset.y += y;
    this.draw();
  }

  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }

  down(event) {
    if (event.button) return;
    this.view.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.place(event));
    const near = Math.abs(this.place(event).x - this.position * this.box.x) <= REACH;
    this.dividing = this.pointers.size === 1 && (near || !this.scale);
    if (this.dividing && event.pointerType === "mouse") this.divide(event);
  }

  divide(event) {
    this.moveTo(this.place(event).x / this.box.x);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.place(event);
    if (this.pointers.size === 2) this.pinch(event.pointerId, before, now);
    else if (this.dividing) this.divide(event);
    else this.pan(now.x - before.x, now.y - before.y);
    this.pointers.set(event.pointerId, now);
  }

  pinch(id, before, now) {
    const [still] = [...this.pointers].filter(([other]) => other !== id).map(([, place]) => place);
    const from = middle(before, still);
    const to = middle(now, still);
    this.dividing = false;
    this.pan(to.x - from.x, to.y - from.y);
    this.zoom(distance(now, still) / Math.max(1, distance(before, still)), to);
  }

  up(event) {
    const tapped = event.type === "pointerup" && this.pointers.size === 1;
    if (tapped && this.dividing) this.divide(event);
    this.pointers.delete(event.pointerId);
  }

  /** Only with Ctrl, as which a pinch on a touchpad comes; without, the page scrolls. */
  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.zoom(2 ** (-event.deltaY / 200), this.place(event));
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest?.(".scroll")) return;
    const action = event.shiftKey ? this.shifted(event) : this.plain(event);
    if (!action) return;
    event.preventDefault();
    action();
  }

  plain(event) {
    const digit = /^Digit([1-9])$/.exec(event.code);
    if (digit) return () => this.choose("left", digit[1] - 1);
    return {
      ArrowLeft: () => this.moveTo(this.position - STEP),
      ArrowRight: () => this.moveTo(this.position + STEP),
      Home: () => this.moveTo(0),
      End: () => this.moveTo(1),
      x: () => this.moveTo(this.position < 0.5 ? 1 : 0),
      "+": () => this.zoom(ZOOM_STEP),
      "=": () => this.zoom(ZOOM_STEP),
      "-": () => this.zoom(1 / ZOOM_STEP),
      0: () => this.fit(),
      f: () => this.full(),
    }[event.key];
  }

  /** With Shift: the right picture, and panning where there is something to pan. */
  shifted(event) {
    const digit = /^Digit([1-9])$/.exec(event.code);
    if (digit) return () => this.choose("right", digit[1] - 1);
    if (event.key === "+") return () => this.zoom(ZOOM_STEP);
    const step = this.box.x / 10;
    return this.scale ? {
      ArrowLeft: () => this.pan(step, 0), ArrowRight: () => this.pan(-step, 0),
      ArrowUp: () => this.pan(0, step), ArrowDown: () => this.pan(0, -step),
    }[event.key] : undefined;
  }
}

const stages = document.querySelectorAll(".stage");
for (const stage of stages) new Stage(stage, stages.length === 1);
