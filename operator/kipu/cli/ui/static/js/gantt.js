// The timeline: when each attempt waited, was queued and ran. Drawn on a canvas, of which only the rows in sight are
// drawn; a fan-out is one row that shows how many of its items ran, and unfolds to them.

import { byId, duration, oncePerFrame, speak } from "./dom.js";
import { colour } from "./phases.js";
import { HEAD, LABELS, ROW, drawAxis, drawBar, drawFan, drawLabel, drawTicks } from "./gantt-draw.js";

const ZOOM_STEP = 1.5, ZOOM_MAX = 20000;
const WIDTH_MAX = 8_000_000; // pixels that a browser scrolls

export class Gantt {
  constructor(box, { select, open }) {
    Object.assign(this, { box, select, open, story: null, state: null, unfolded: new Set(), zoom: 1, active: -1, rows: [] });
    this.space = document.createElement("div");
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    this.scroller = document.createElement("div");
    this.scroller.className = "gantt-scroller";
    this.scroller.append(this.space);
    box.append(this.canvas, this.scroller);
    this.draw = oncePerFrame(() => this.drawNow());
    this.scroller.addEventListener("scroll", this.draw, { passive: true });
    this.scroller.addEventListener("click", (event) => this.onClick(event));
    this.scroller.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.scroller.addEventListener("mousemove", (event) => this.hover(event));
    box.addEventListener("keydown", (event) => this.onKey(event));
    byId("gantt-in").addEventListener("click", () => this.zoomBy(ZOOM_STEP));
    byId("gantt-out").addEventListener("click", () => this.zoomBy(1 / ZOOM_STEP));
    byId("gantt-fit").addEventListener("click", () => this.zoomBy(0));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.draw);
    new ResizeObserver(() => this.measure()).observe(box);
  }

  show(story) {
    Object.assign(this, { story, state: null, at: 0, zoom: 1, active: -1 });
    this.unfolded.clear();
    this.scroller.scrollTo(0, 0);
    this.build();
  }

  /** The rows: steps in the order in which they began, those that never did at the end. */
  build() {
    if (!this.story) return;
    const { story } = this;
    const began = (node) => story.barsOf.get(node)?.[0].time ?? Infinity;
    const steps = story.steps.map((_, node) => node).sort((a, b) => (began(a) === began(b) ? a - b : began(a) - began(b)));
    this.rows = steps.flatMap((node) => [{ node, isFan: Boolean(story.steps[node].fanOut) }, ...this.itemsBelow(node)]);
    this.fans = new Map();
    this.measure();
  }

  itemsBelow(node) {
    if (!this.unfolded.has(node)) return [];
    const items = this.story.expansions.findLast(([parent]) => parent === node);
    return items ? Array.from({ length: items[2] }, (_, index) => ({ node: items[1] + index, isItem: true })) : [];
  }

  update(state) {
    this.state = state;
    this.at = this.story.now(state);
    this.draw();
  }

  /** The story has grown. */
  grow() {
    if (this.rows.length !== this.story.steps.length) return this.build(); // items are unfolded, or steps are new
    this.fans.clear();
    return this.build();
  }

  mark(node) {
    this.marked = node;
    this.active = this.rows.findIndex((row) => row.node === node);
    this.draw();
  }

  // -- measures ----------------------------------------------------------------------------------------------

  get span() {
    return Math.max(this.story.times.at(-1) ?? 0, this.at ?? 0, 1000) * 1.01;
  }

  get scale() {
    return (this.width / this.span) * this.zoom; // pixels a millisecond
  }

  measure() {
    if (!this.story || !this.box.clientWidth) return;
    this.width = Math.max(100, this.box.clientWidth - LABELS - 24);
    const ratio = devicePixelRatio || 1;
    this.canvas.width = this.box.clientWidth * ratio;
    this.canvas.height = this.box.clientHeight * ratio;
    this.space.style.height = `${this.rows.length * ROW + HEAD + 4}px`;
    this.space.style.width = `${Math.min(WIDTH_MAX, LABELS + 20 + this.width * this.zoom)}px`;
    this.drawNow();
  }

  x(time) {
    return LABELS + 8 + time * this.scale - this.scroller.scrollLeft;
  }

  timeOf(x) {
    return (x - LABELS - 8 + this.scroller.scrollLeft) / this.scale;
  }

  // -- drawing -----------------------------------------------------------------------------------------------

  drawNow() {
    if (!this.story || !this.state || !this.box.clientWidth) return;
    const pen = this.canvas.getContext("2d"), ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.box;
    const colours = Object.fromEntries([
      "surface", "sunken", "line", "line-strong", "ink", "ink-2", "accent", "accent-soft", "waiting", ...this.story.stepPhases,
    ].map((name) => [name, colour(name)]));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW));
    const last = Math.min(this.rows.length, Math.ceil((this.scroller.scrollTop + height - HEAD) / ROW));
    if (this.active >= first && this.active < last) this.drawActive(pen, width, colours);
    drawTicks(pen, this, width, height, colours);
    for (let index = first; index < last; index += 1) this.drawRow(pen, index, width, colours);
    drawAxis(pen, this, width, height, colours);
    for (let index = first; index < last; index += 1) drawLabel(pen, this, index, colours);
    pen.clearRect(0, 0, LABELS, HEAD);
    pen.fillStyle = colours.surface;
    pen.fillRect(0, 0, LABELS, HEAD);
    pen.fillStyle = colours.line;
    pen.fillRect(0, HEAD - 1, width, 1);
    pen.fillRect(LABELS, 0, 1, height);
  }

  drawRow(pen, index, width, colours) {
    const row = this.rows[index], y = this.y(index);
    pen.fillStyle = colours.line;
    pen.globalAlpha = 0.5;
    pen.fillRect(0, y + ROW - 1, width, 1);
    pen.globalAlpha = 1;
    if (row.isFan) drawFan(pen, this, row.node, y, width, colours);
    else for (const bar of this.story.barsOf.get(row.node) ?? []) drawBar(pen, this, bar, y, width, colours);
  }

  drawActive(pen, width, colours) {
    pen.fillStyle = colours["accent-soft"];
    pen.fillRect(0, this.y(this.active), width, ROW);
  }

  y(index) {
    return HEAD + index * ROW - this.scroller.scrollTop;
  }

  // -- people ------------------------------------------------------------------------------------------------

  rowAt(event) {
    const { top } = this.box.getBoundingClientRect();
    const index = Math.floor((event.clientY - top - HEAD + this.scroller.scrollTop) / ROW);
    return event.clientY - top > HEAD && index < this.rows.length ? index : -1;
  }

  onClick(event) {
    const index = this.rowAt(event);
    if (index < 0) return;
    const onFold = this.rows[index].isFan && event.clientX - this.box.getBoundingClientRect().left < 30;
    if (onFold) this.fold(index, !this.unfolded.has(this.rows[index].node));
    else {
      this.activate(index);
      this.open([this.rows[index].node]);
    }
  }

  hover(event) {
    const index = this.rowAt(event);
    const title = index < 0 ? "" : this.describe(this.rows[index].node, this.timeOf(event.clientX - this.box.getBoundingClientRect().left));
    if (this.scroller.title !== title) this.scroller.title = title;
  }

  /** The attempts of a row in words; of a time only the one that was under way then. */
  describe(node, time = null) {
    const bars = (this.story.barsOf.get(node) ?? []).filter((bar) => bar.at <= this.state.position);
    const chosen = time === null ? bars.slice(-3) : bars.filter((bar) => bar.since <= time && time <= (bar.end ?? this.at));
    const lines = chosen.map((bar) => {
      const until = bar.end !== null && bar.endAt <= this.state.position ? bar.end : this.at;
      const started = bar.started !== null && bar.startedAt <= this.state.position ? bar.started : null;
      const parts = [`waited ${duration(bar.time - bar.since)}`];
      if (bar.kind === "attempt") parts.push(`queued ${duration((started ?? until) - bar.time)}`);
      if (started !== null) parts.push(`ran ${duration(until - started)}`);
      const end = until === bar.end ? bar.outcome : "not over";
      return `${bar.attempt ? `attempt ${bar.attempt}: ` : ""}${parts.join(", ")}, ${end}`;
    });
    return [`${this.story.name(node)}: ${this.story.phaseOf(this.state, node)}`, ...lines].join("\n");
  }

  activate(index) {
    this.active = index;
    const top = index * ROW, room = this.box.clientHeight - HEAD - ROW;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top > this.scroller.scrollTop + room) this.scroller.scrollTop = top - room;
    this.draw();
    speak(this.describe(this.rows[index].node));
    this.select([this.rows[index].node]);
  }

  fold(index, isOpen) {
    const { node, isFan } = this.rows[index];
    if (!isFan) return;
    if (isOpen) this.unfolded.add(node);
    else this.unfolded.delete(node);
    this.build();
    speak(isOpen ? "unfolded" : "folded");
  }

  onKey(event) {
    if (!this.rows.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 2), last = this.rows.length - 1;
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const keys = {
      "+": () => this.zoomBy(ZOOM_STEP), "=": () => this.zoomBy(ZOOM_STEP), "-": () => this.zoomBy(1 / ZOOM_STEP), 0: () => this.zoomBy(0),
      ArrowRight: () => this.fold(Math.max(0, this.active), true), ArrowLeft: () => this.fold(Math.max(0, this.active), false),
      Enter: () => this.active >= 0 && this.open([this.rows[this.active].node]),
    };
    if (event.key in moves) this.activate(Math.min(last, Math.max(0, this.active + moves[event.key])));
    else if (event.key in keys) keys[event.key]();
    else return;
    event.preventDefault();
  }

  onWheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.clientX - this.box.getBoundingClientRect().left);
  }

  /** By a factor around a place; 0: all of it in sight. */
  zoomBy(factor, x = LABELS + this.width / 2) {
    if (!this.story) return;
    const time = this.timeOf(x);
    this.zoom = factor ? Math.min(ZOOM_MAX, WIDTH_MAX / this.width, Math.max(1, this.zoom * factor)) : 1;
    this.measure();
    this.scroller.scrollLeft = time * this.scale - (x - LABELS - 8);
    this.draw();
  }
}
