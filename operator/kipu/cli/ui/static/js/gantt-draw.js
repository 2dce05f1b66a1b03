// The strokes of the timeline: an axis, the label of a row, an attempt, a whole fan-out.

import { duration } from "./dom.js";
import { SIGNS } from "./phases.js";

export const ROW = 26, HEAD = 30, LABELS = 220; // pixels
const TICK_PIXELS = 110;
const TICKS_MS = [
  100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1.5e4, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5, 1728e5, 6048e5,
];

function* ticks(gantt, width) {
  const wanted = TICK_PIXELS / gantt.scale;
  const tick = TICKS_MS.find((each) => each >= wanted) ?? Math.ceil(wanted / 864e5) * 864e5;
  const first = Math.max(0, Math.floor(gantt.timeOf(LABELS) / tick));
  for (let index = first; gantt.x(index * tick) < width; index += 1) {
    const x = Math.round(gantt.x(index * tick));
    if (x >= LABELS) yield [x, index * tick];
  }
}

/** The lines of the ticks, behind everything. */
export function drawTicks(pen, gantt, width, height, colours) {
  pen.fillStyle = colours.line;
  for (const [x] of ticks(gantt, width)) pen.fillRect(x, HEAD - 6, 1, height);
}

/** The ticks' names above, and where time stands. */
export function drawAxis(pen, gantt, width, height, colours) {
  pen.fillStyle = colours.surface;
  pen.fillRect(0, 0, width, HEAD);
  pen.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
  pen.textBaseline = "middle";
  for (const [x, time] of ticks(gantt, width)) {
    pen.fillStyle = colours.line;
    pen.fillRect(x, HEAD - 6, 1, 6);
    pen.fillStyle = colours["ink-2"];
    pen.fillText(time === 0 ? "0" : `+${duration(time)}`, x + 5, HEAD / 2);
  }
  const here = Math.round(gantt.x(gantt.at));
  if (here < LABELS) return;
  pen.fillStyle = colours.accent;
  pen.fillRect(here, HEAD - 8, 1.5, height);
  pen.beginPath();
  pen.moveTo(here - 5, HEAD - 10);
  pen.lineTo(here + 6.5, HEAD - 10);
  pen.lineTo(here + 0.75, HEAD - 3);
  pen.fill();
}

/** The name of a row, with the sign of its phase. */
export function drawLabel(pen, gantt, index, colours) {
  const row = gantt.rows[index], y = gantt.y(index), middle = y + ROW / 2;
  const phase = gantt.story.phaseOf(gantt.state, row.node);
  pen.fillStyle = index === gantt.active ? colours["accent-soft"] : colours.surface;
  pen.fillRect(0, y, LABELS, ROW - 1);
  pen.font = `12.5px ${getComputedStyle(document.body).fontFamily}`;
  pen.textBaseline = "middle";
  const left = row.isItem ? 44 : 26;
  if (row.isFan) {
    pen.fillStyle = colours["ink-2"];
    const open = gantt.unfolded.has(row.node);
    pen.beginPath();
    if (open) (pen.moveTo(10, middle - 3), pen.lineTo(20, middle - 3), pen.lineTo(15, middle + 4));
    else (pen.moveTo(12, middle - 5), pen.lineTo(19, middle), pen.lineTo(12, middle + 5));
    pen.fill();
  }
  pen.fillStyle = colours[phase];
  pen.fillText(SIGNS[phase], left, middle);
  pen.fillStyle = phase === "Pending" || phase === "Skipped" ? colours["ink-2"] : colours.ink;
  pen.fillText(cut(pen, gantt.story.name(row.node), LABELS - left - 26), left + 18, middle);
}

function cut(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  let length = text.length;
  while (length > 1 && pen.measureText(`${text.slice(0, length)}…`).width > room) length -= 1;
  return `${text.slice(0, length)}…`;
}

/** One attempt, as far as it was known at the position that is shown. */
export function drawBar(pen, gantt, bar, y, width, colours) {
  const { position } = gantt.state;
  if (bar.at > position) return;
  const isOver = bar.end !== null && bar.endAt <= position;
  const end = isOver ? bar.end : gantt.at;
  const started = bar.started !== null && bar.startedAt <= position ? bar.started : null;
  const middle = Math.round(y + ROW / 2) - 0.5;
  line(pen, gantt, bar.since, bar.time, middle, colours);
  if (bar.kind === "attempt") box(pen, gantt, bar.time, started ?? end, middle, width, { stroke: colours.Scheduled });
  if (started !== null) {
    const open = bar.kind === "rest" ? colours.Suspended : colours.Running;
    box(pen, gantt, started, end, middle, width, { fill: isOver ? colourOf(bar.outcome, colours) : open, isOpen: !isOver });
  }
  if (isOver && bar.due !== null) {
    pen.fillStyle = colours.Retrying;
    pen.fillRect(Math.round(gantt.x(Math.min(bar.due, gantt.at))), middle - 6, 2, 12);
  }
}

const colourOf = (outcome, colours) => (outcome === "Succeeded" ? colours.Succeeded : outcome === "Cancelled" ? colours.Cancelled : outcome === "Unknown" ? colours.Unknown : colours.Failed);

function line(pen, gantt, from, to, middle, colours) {
  const left = Math.max(LABELS, gantt.x(from)), right = gantt.x(to);
  if (right - left < 3) return;
  pen.strokeStyle = colours["line-strong"];
  pen.setLineDash([1.5, 3]);
  pen.beginPath();
  pen.moveTo(left, middle);
  pen.lineTo(right - 1, middle);
  pen.stroke();
  pen.setLineDash([]);
}

function box(pen, gantt, from, to, middle, width, { fill = null, stroke = null, isOpen = false }) {
  const left = Math.max(LABELS - 20, gantt.x(from)), right = Math.min(width + 20, gantt.x(to));
  if (right < LABELS || left > width) return;
  const long = Math.max(right - left, fill ? 2.5 : 0);
  if (long < 1) return;
  pen.beginPath();
  pen.roundRect(left, middle - 6, long, 12, isOpen ? [3, 0, 0, 3] : Math.min(3, long / 2));
  if (fill) {
    pen.fillStyle = fill;
    pen.fill();
  } else {
    pen.strokeStyle = stroke;
    pen.lineWidth = 1.4;
    pen.stroke();
    pen.lineWidth = 1;
  }
}

/** A fan-out: how many of its items were queued and ran, at each moment. */
export function drawFan(pen, gantt, node, y, width, colours) {
  const [bar] = (gantt.story.barsOf.get(node) ?? []).slice(-1);
  if (!bar || bar.at > gantt.state.position) return;
  const curve = curveOf(gantt, node);
  const end = Math.min(gantt.at, bar.end ?? gantt.at);
  const left = Math.max(LABELS, Math.floor(gantt.x(bar.started))), right = Math.min(width, Math.ceil(gantt.x(end)));
  const floor = y + ROW - 4, room = ROW - 9;
  pen.fillStyle = colours.waiting;
  pen.fillRect(left, floor, Math.max(2, right - left), 1);
  for (let x = left; x < Math.max(right, left + 2); x += 1) {
    const time = Math.min(gantt.timeOf(x + 0.5), end);
    const running = curve.running(time), queued = curve.queued(time), unit = room / curve.most;
    pen.fillStyle = colours.Scheduled;
    pen.globalAlpha = 0.4;
    pen.fillRect(x, floor - (running + queued) * unit, 1, queued * unit);
    pen.globalAlpha = 1;
    pen.fillStyle = bar.end === null || bar.endAt > gantt.state.position ? colours.Running : colourOf(bar.outcome, colours);
    pen.fillRect(x, floor - running * unit, 1, running * unit);
  }
}

function curveOf(gantt, node) {
  if (!gantt.fans.has(node)) gantt.fans.set(node, new Curve(gantt.story, node));
  return gantt.fans.get(node);
}

/** How many items of a fan-out were in which state, by time: counted from sorted times. */
class Curve {
  constructor(story, node) {
    const items = story.expansions.filter(([parent]) => parent === node);
    const bars = items.flatMap(([, first, count]) => Array.from({ length: count }, (_, index) => story.barsOf.get(first + index) ?? []).flat());
    const sorted = (times) => Float64Array.from(times.filter((time) => time !== null)).sort();
    this.scheduled = sorted(bars.map((bar) => bar.time));
    this.started = sorted(bars.map((bar) => bar.started ?? bar.end));
    this.ended = sorted(bars.map((bar) => bar.end));
    this.most = Math.max(1, this.peak());
  }

  peak() {
    let most = 0, over = 0;
    this.scheduled.forEach((time, index) => {
      while (over < this.ended.length && this.ended[over] < time) over += 1;
      most = Math.max(most, index + 1 - over);
    });
    return most;
  }

  queued(time) {
    return Math.max(0, count(this.scheduled, time) - count(this.started, time));
  }

  running(time) {
    return Math.max(0, count(this.started, time) - count(this.ended, time));
  }
}

function count(times, time) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
