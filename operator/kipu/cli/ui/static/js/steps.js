// The steps and items as a table: what the graph and the timeline show, for all who read it.

import { byId, duration, plural } from "./dom.js";
import { ORDER, chip } from "./phases.js";
import { Rows, gridHead, gridRow } from "./rows.js";

export class Steps {
  constructor(box, { select, open }) {
    Object.assign(this, { story: null, state: null, nodes: [] });
    const head = gridHead("Step", "Phase", "#Attempts", "#Waited", "#Queued", "#Ran", "Outcome");
    this.rows = new Rows(box, {
      height: 32, head, fill: (row, index) => this.fill(row, this.nodes[index]),
      take: (index) => open([this.nodes[index]]), move: (index) => select([this.nodes[index]]),
    });
    const phases = byId("steps-phase");
    for (const phase of ORDER) phases.append(new Option(phase, phase));
    byId("steps-text").addEventListener("input", () => this.choose());
    phases.addEventListener("change", () => this.choose());
  }

  show(story) {
    this.story = story;
    byId("steps-text").value = "";
    byId("steps-phase").value = "";
    this.state = null;
    this.nodes = [];
    this.rows.set(0);
    this.rows.box.scrollTop = 0;
  }

  /** Only what is in this phase. */
  filter(phase) {
    byId("steps-phase").value = phase;
    this.choose();
  }

  update(state) {
    this.state = state;
    if (!byId("view-steps").hidden) this.choose();
  }

  choose() {
    if (!this.state) return;
    const { story, state } = this, text = byId("steps-text").value.trim().toLowerCase(), phase = byId("steps-phase").value;
    const fits = (node) => (!phase || story.phaseOf(state, node) === phase) && (!text || story.name(node).toLowerCase().includes(text));
    this.nodes = story.nodesAt(state).filter(fits);
    this.rows.set(this.nodes.length);
    this.mark(this.marked ?? -1);
    byId("steps-count").textContent = plural(this.nodes.length, "row");
  }

  mark(node) {
    this.marked = node;
    this.rows.choose(this.nodes.indexOf(node));
  }

  fill(row, node) {
    const { story, state } = this;
    const isItem = node >= story.steps.length;
    const known = (story.barsOf.get(node) ?? []).filter((bar) => bar.at <= state.position && bar.run === state.run);
    const times = timesOf(known.at(-1), state.position, story.now(state));
    const attempts = known.filter((bar) => bar.kind === "attempt").length;
    gridRow(
      row, [story.name(node), isItem ? "inner" : ""], chip(story.phaseOf(state, node)), [attempts ? String(attempts) : "", "num"],
      [duration(times.waited), "num"], [duration(times.queued), "num"], [duration(times.ran), "num"], times.outcome === "Succeeded" ? "" : times.outcome,
    );
  }
}

/** How long the newest attempt has waited, was queued and ran, as of a position. */
export function timesOf(bar, position, now) {
  if (!bar) return { waited: null, queued: null, ran: null, outcome: "" };
  const isOver = bar.end !== null && bar.endAt <= position, end = isOver ? bar.end : now;
  const started = bar.started !== null && bar.startedAt <= position ? bar.started : null;
  return {
    waited: bar.time - bar.since,
    queued: bar.kind === "attempt" ? (started ?? end) - bar.time : null,
    ran: started === null ? null : end - started,
    outcome: isOver ? bar.outcome : "",
  };
}
