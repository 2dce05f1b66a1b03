// Small things about elements, words and numbers.

export const byId = (id) => document.getElementById(id);

/** An element with attributes, and text or elements within; what is null is left out. Text is never taken for HTML. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Say something to screen readers. */
export function speak(text) {
  byId("spoken").textContent = text;
}

/** Milliseconds in the two largest units, as `kubectl` has them. */
export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined || Number.isNaN(milliseconds)) return "";
  if (milliseconds < 1000) return `${Math.max(0, Math.round(milliseconds))}ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const whole = Math.floor(seconds);
  const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const first = units.findIndex(([size]) => whole >= size);
  const parts = units.slice(first, first + 2).map(([size, unit], place) => {
    const count = Math.floor((place === 0 ? whole : whole % units[first][0]) / size);
    return count || place === 0 ? `${count}${unit}` : "";
  });
  return parts.join("");
}

/** A moment as a clock of this machine shows it; with its day where that is not today. */
export function clock(milliseconds, withDay = false) {
  const date = new Date(milliseconds);
  const time = date.toLocaleTimeString(undefined, { hour12: false });
  const day = date.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
  return withDay || date.toDateString() !== new Date().toDateString() ? `${day}, ${time}` : time;
}

export const number = (value) => value.toLocaleString("en").replaceAll(",", " ");

export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

/** Whether a key belongs to a field in which somebody writes. */
export function isTyping(event) {
  return ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) && event.target.type !== "range";
}

/** Call once in a frame, however often it is asked for. */
export function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}
