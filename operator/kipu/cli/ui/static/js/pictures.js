// What is drawn within a node of the graph: the sign of its phase, and the counts of a group as a bar.

import { HEIGHT, TALL, WIDTH } from "./layout.js";
import { ORDER, colour, drawing } from "./phases.js";

const kept = new Map();
const KEPT_MAX = 2000;

/** As the address of an image, with the colours that the page has now. */
export function picture(phase, counts = null) {
  const key = `${phase}${counts ? JSON.stringify(counts) : ""}`;
  if (!kept.has(key)) {
    if (kept.size >= KEPT_MAX) kept.clear();
    kept.set(key, draw(phase, counts));
  }
  return kept.get(key);
}

picture.forget = () => kept.clear();

function draw(phase, counts) {
  const height = counts ? TALL : HEIGHT;
  const sign = drawing(phase).replaceAll("currentColor", colour(phase)).replaceAll("var(--surface)", colour("raised"));
  const bar = counts ? barOf(counts, height) : "";
  const top = counts ? 12 : (height - 18) / 2;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}"><svg x="11" y="${top}" width="18" height="18" viewBox="0 0 16 16">${sign}</svg>${bar}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

function barOf(counts, height) {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0) || 1;
  const room = WIDTH - 24, y = height - 13;
  let x = 12;
  const parts = ORDER.filter((phase) => counts[phase]).map((phase) => {
    const width = (room * counts[phase]) / total;
    const part = `<rect x="${x.toFixed(2)}" y="${y}" width="${width.toFixed(2)}" height="5" fill="${phase === "Pending" ? colour("waiting") : colour(phase)}"/>`;
    x += width;
    return part;
  });
  return `<clipPath id="c"><rect x="12" y="${y}" width="${room}" height="5" rx="2.5"/></clipPath><g clip-path="url(#c)">${parts.join("")}</g>`;
}
