// The slider over a history: any position of it, one event at a time, played, or the newest as it comes.

import { byId, clock, duration, isTyping, number, oncePerFrame } from "./dom.js";
import { colour } from "./phases.js";

const PLAY_FRAMES = 300; // a whole history is played in so many, five seconds or so
const FRAME_MS = 50;

export class Scrubber {
  /** `travel(position)` is called with null for the newest; `settle` once the slider is let go. */
  constructor({ travel, settle }) {
    Object.assign(this, { travel, settle, story: null, at: null, timer: null });
    this.slider = byId("slider");
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.slider.addEventListener("change", () => this.settle());
    const buttons = { first: () => this.jump(1), before: () => this.jump(this.position - 1), next: () => this.jump(this.position + 1), now: () => this.jump(null), play: () => this.toggle() };
    for (const [id, act] of Object.entries(buttons)) byId(id).addEventListener("click", act);
    document.addEventListener("keydown", (event) => this.onKey(event));
    this.canvas = byId("density");
    this.drawDensity = oncePerFrame(() => this.density());
    new ResizeObserver(this.drawDensity).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.drawDensity);
  }

  show(story, at) {
    this.stop();
    this.at = at;
    this.grow(story);
  }

  get position() {
    return this.at ?? this.story?.position ?? 1;
  }

  /** The story has become longer, or is another one. */
  grow(story) {
    this.story = story;
    this.slider.max = String(Math.max(1, story.position));
    this.slider.min = String(Math.min(1, story.position));
    this.tell();
    this.drawDensity();
  }

  tell() {
    const { story, position } = this;
    const time = story.timeAt(position);
    const words = `event ${number(position)} of ${number(story.position)}, ${duration(time) || "0s"} after the start`;
    this.slider.value = String(position);
    this.slider.setAttribute("aria-valuetext", words);
    byId("moment").textContent = `${number(position)} / ${number(story.position)} · +${duration(time) || "0s"} · ${clock(story.origin + time)}`;
    byId("now").setAttribute("aria-pressed", String(this.at === null));
    byId("first").disabled = byId("before").disabled = position <= 1;
    byId("next").disabled = this.at === null;
    byId("workflow").classList.toggle("is-past", this.at !== null);
  }

  go(position) {
    const last = this.story.position;
    this.at = position === null || position >= last ? null : Math.max(1, position);
    this.tell();
    this.travel(this.at);
  }

  jump(position) {
    this.stop();
    this.go(position);
    this.settle();
  }

  toggle() {
    if (this.timer) return this.stop();
    if (this.at === null) this.go(1);
    const step = Math.max(1, Math.round(this.story.position / PLAY_FRAMES));
    byId("play").setAttribute("aria-pressed", "true");
    byId("play-word").textContent = "Pause";
    this.timer = setInterval(() => {
      this.go(this.position + step);
      if (this.at === null) this.stop();
    }, FRAME_MS);
  }

  stop() {
    if (!this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
    byId("play").setAttribute("aria-pressed", "false");
    byId("play-word").textContent = "Play";
    this.settle();
  }

  /** Everywhere but in a field: [ and ] are one event back and on, \ is the newest. */
  onKey(event) {
    if (!this.story || isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "[") this.jump(Math.max(1, this.position - 1));
    else if (event.key === "]" && this.at !== null) this.jump(this.position + 1);
    else if (event.key === "\\") this.jump(null);
  }

  /** How much time passes between positions, as a quiet picture: where the history was dense, and where it waited. */
  density() {
    const { story, canvas } = this, ratio = devicePixelRatio || 1;
    if (!story || !canvas.clientWidth) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const total = story.times.at(-1) || 1;
    pen.beginPath();
    pen.moveTo(0, height);
    for (let x = 0; x <= width; x += 2) {
      const position = 1 + Math.round((x / width) * (story.position - 1));
      pen.lineTo(x, height - (story.timeAt(position) / total) * (height - 3));
    }
    pen.lineTo(width, height);
    pen.fillStyle = colour("Running");
    pen.globalAlpha = 0.14;
    pen.fill();
    pen.globalAlpha = 1;
  }
}
