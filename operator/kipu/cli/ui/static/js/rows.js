// Many rows of one height, of which only those in sight are elements. Keys move an active row; Enter takes it.
//
// For readers the box is a listbox or a grid whose active row is its aria-activedescendant; each row knows its place
// among all (aria-posinset and aria-setsize, or aria-rowindex).

import { oncePerFrame } from "./dom.js";

const BEYOND = 8; // rows that are kept above and below those in sight
let boxes = 0;

export class Rows {
  /** `fill(element, index)` writes a row; `take(index)` is called for a click or Enter; `move(index)` for the keys. */
  constructor(box, { height, fill, take, move = null, head = null }) {
    Object.assign(this, { box, height, fill, take, move, count: 0, active: -1, chosen: -1 });
    this.isGrid = box.getAttribute("role") === "grid";
    this.headHeight = 0;
    this.id = `rows-${(boxes += 1)}`;
    this.body = document.createElement("div");
    this.body.className = "rows";
    this.body.setAttribute("role", this.isGrid ? "rowgroup" : "presentation");
    box.replaceChildren(this.body);
    if (head) {
      box.prepend(head);
      this.headHeight = 32;
    }
    this.shown = new Map();
    this.draw = oncePerFrame(() => this.drawNow());
    box.addEventListener("scroll", this.draw, { passive: true });
    box.addEventListener("keydown", (event) => this.onKey(event));
    box.addEventListener("focus", () => this.active < 0 && this.count && this.activate(Math.max(0, this.chosen), false));
    new ResizeObserver(this.draw).observe(box);
  }

  /** How many rows there are now; all in sight are written anew. */
  set(count) {
    this.count = count;
    this.body.style.height = `${count * this.height}px`;
    if (this.isGrid) this.box.setAttribute("aria-rowcount", String(count + (this.headHeight ? 1 : 0)));
    if (this.active >= count) this.active = count - 1;
    this.isStale = true;
    this.draw();
  }

  /** Which row is the chosen one, -1 for none. */
  choose(index) {
    this.chosen = index;
    this.isStale = true;
    this.draw();
  }

  reveal(index) {
    const top = index * this.height;
    const room = this.box.clientHeight - this.headHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.height > this.box.scrollTop + room) this.box.scrollTop = top + this.height - room;
  }

  drawNow() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.height) - BEYOND);
    const last = Math.min(this.count, Math.ceil((this.box.scrollTop + this.box.clientHeight) / this.height) + BEYOND);
    for (const [index, row] of this.shown) {
      if (index < first || index >= last) {
        row.remove();
        this.shown.delete(index);
      }
    }
    for (let index = first; index < last; index += 1) this.drawRow(index);
    this.isStale = false;
    const active = this.shown.get(this.active);
    if (active) this.box.setAttribute("aria-activedescendant", active.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  drawRow(index) {
    let row = this.shown.get(index);
    const isNew = !row;
    if (isNew) {
      row = document.createElement("div");
      row.id = `${this.id}-${index}`;
      row.style.top = `${index * this.height}px`;
      row.style.height = `${this.height}px`;
      row.addEventListener("click", () => {
        this.activate(index, false);
        this.take(index);
      });
      this.shown.set(index, row);
    }
    if (isNew || this.isStale) {
      row.replaceChildren();
      row.className = "";
      this.describe(row, index);
      this.fill(row, index);
      row.classList.toggle("is-active", index === this.active);
    }
    if (isNew) this.body.append(row);
  }

  describe(row, index) {
    row.setAttribute("role", this.isGrid ? "row" : "option");
    row.setAttribute("aria-selected", String(index === this.chosen));
    if (this.isGrid) {
      row.setAttribute("aria-rowindex", String(index + 1 + (this.headHeight ? 1 : 0)));
    } else {
      row.setAttribute("aria-posinset", String(index + 1));
      row.setAttribute("aria-setsize", String(this.count));
    }
  }

  activate(index, tells = true) {
    this.active = index;
    this.reveal(index);
    this.isStale = true;
    this.drawNow();
    if (tells && this.move) this.move(index);
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.target !== this.box || !this.count) return;
    if (event.key in steps) {
      event.preventDefault();
      this.activate(Math.min(this.count - 1, Math.max(0, Math.max(this.active, 0) + steps[event.key])));
    } else if ((event.key === "Enter" || event.key === " ") && this.active >= 0) {
      event.preventDefault();
      this.take(this.active);
    }
  }
}

/** The head of a grid: names of columns; those that begin with # hold numbers. */
export function gridHead(...names) {
  const row = document.createElement("div");
  row.className = "tr head-row";
  row.setAttribute("role", "row");
  row.setAttribute("aria-rowindex", "1");
  for (const name of names) {
    const cell = document.createElement("div");
    cell.setAttribute("role", "columnheader");
    cell.className = name.startsWith("#") ? "td num" : "td";
    cell.textContent = name.replace("#", "");
    row.append(cell);
  }
  return row;
}

/** Fill a row of a grid. */
export function gridRow(row, ...contents) {
  row.classList.add("tr");
  for (const content of contents) {
    const cell = document.createElement("div");
    cell.setAttribute("role", "gridcell");
    cell.className = "td";
    if (content instanceof Node) cell.append(content);
    else {
      const [text, kind] = Array.isArray(content) ? content : [content, ""];
      if (kind) cell.classList.add(kind);
      cell.textContent = text;
      if (text.length > 14) cell.title = text;
    }
    row.append(cell);
  }
}
