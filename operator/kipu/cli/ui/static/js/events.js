// Every recorded event as `kipu history` tells it. Rows come from the server, a page at a time, as they come into sight.

import { ask, pathOf } from "./api.js";
import { Rows, gridHead, gridRow } from "./rows.js";

const PAGE = 200;
const PAGES_KEPT_MAX = 60;

export class Events {
  constructor(box, { travel }) {
    Object.assign(this, { story: null, of: null, pages: new Map(), position: 0 });
    const head = gridHead("#Position", "#After", "Event", "Step", "Details");
    this.rows = new Rows(box, {
      height: 28, head, fill: (row, index) => this.fill(row, index), take: (index) => travel(index + 1), move: (index) => travel(index + 1),
    });
  }

  show(story, of) {
    Object.assign(this, { story, of, pages: new Map() });
    this.rows.set(0);
  }

  update(state) {
    this.position = state.position;
    if (this.rows.count !== this.story.position) this.pages.delete(Math.floor(this.rows.count / PAGE)); // it has grown
    this.rows.set(this.story.position);
    this.rows.choose(state.position - 1);
  }

  /** Bring the event at the position that is shown into sight. */
  follow() {
    this.rows.reveal(Math.max(0, this.position - 1));
  }

  fill(row, index) {
    const found = this.page(Math.floor(index / PAGE))?.[index % PAGE];
    row.classList.toggle("is-future", index >= this.position);
    row.classList.toggle("is-here", index === this.position - 1);
    if (!found) return gridRow(row, [String(index + 1), "num"], "", "…", "", "");
    const [position, , elapsed, event, step, details] = found;
    return gridRow(row, [position, "num"], [elapsed, "num"], event, step, details);
  }

  page(number) {
    const kept = this.pages.get(number);
    if (kept) return kept.rows;
    if (this.pages.size >= PAGES_KEPT_MAX) this.pages.delete(this.pages.keys().next().value);
    const page = { rows: null }, { story } = this;
    this.pages.set(number, page);
    ask(`${pathOf(this.of)}/events?from=${number * PAGE + 1}&to=${(number + 1) * PAGE}`).then(
      (told) => {
        page.rows = told.rows;
        if (story === this.story) this.rows.choose(this.position - 1);
      },
      () => this.pages.delete(number),
    );
    return null;
  }
}
