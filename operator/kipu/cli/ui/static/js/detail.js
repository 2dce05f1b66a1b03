// What is known of one step, one item or a group of alike steps, as of the position that is shown.

import { ask, pathOf } from "./api.js";
import { clock, duration, isTyping, make, number, plural } from "./dom.js";
import { ORDER, chip, fillBar } from "./phases.js";
import { Rows, gridRow } from "./rows.js";
import { timesOf } from "./steps.js";

export class Detail {
  /** `open(nodes)` shows another step, `close()` is called when this is closed. */
  constructor(box, { open, close }) {
    Object.assign(this, { box, open, closed: close, nodes: [], story: null, state: null, of: null, logs: new Set(), ticks: [] });
    document.addEventListener("keydown", (event) => event.key === "Escape" && !box.hidden && !isTyping(event) && this.close());
  }

  show(story, of) {
    Object.assign(this, { story, of });
    this.hide();
  }

  hide() {
    this.nodes = [];
    this.logs.clear();
    this.box.hidden = true;
  }

  close() {
    const { from } = this;
    this.hide();
    this.closed();
    from?.focus();
  }

  /** One node, or the steps of a group. */
  take(nodes, { focus = false } = {}) {
    if (this.box.hidden) this.from = document.activeElement;
    if (nodes[0] !== this.nodes[0]) this.logs.clear(); // which are open, by run and attempt: they stay so
    this.nodes = nodes;
    this.box.hidden = false;
    this.drawn = "";
    this.draw();
    if (focus) this.box.querySelector("h2")?.focus();
  }

  update(state) {
    this.state = state;
    this.draw();
    for (const tick of this.ticks) tick();
  }

  /** Only when something of it has changed: what a person reads should stay where it is. */
  draw() {
    if (!this.nodes.length || !this.state) return;
    const { story, state } = this, [node] = this.nodes;
    const items = node < story.steps.length ? story.itemsOf(state, node) : null;
    const members = this.nodes.length > 1 ? this.nodes : items ? Array.from({ length: items.count }, (_, index) => items.first + index) : null;
    const counts = members && story.counts(state, members);
    const seen = (story.barsOf.get(node) ?? []).filter((bar) => bar.at <= state.position || bar.endAt <= state.position).length;
    const drawn = JSON.stringify([this.nodes, state.run, story.phaseOf(state, node), counts, seen]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.ticks = []; // what is not over says for how long
    if (this.nodes.length > 1) this.drawGroup(members, counts);
    else this.drawStep(node, members, counts);
  }

  head(title, ...rest) {
    const close = make("button", { type: "button", class: "close quiet", "aria-label": "Close", onclick: () => this.close() }, "✕");
    return [close, make("h2", { tabindex: "-1" }, title), ...rest];
  }

  drawGroup(members, counts) {
    const { story } = this;
    const needs = (story.steps[members[0]].needs ?? []).map((need) => story.name(need));
    this.box.replaceChildren(
      ...this.head(`${number(members.length)} alike steps`, make("p", { class: "muted" }, "They stand at the same place of the graph.")),
      this.links("Waits for", needs), this.members("Steps", members, counts),
    );
  }

  drawStep(node, members, counts) {
    const { story, state } = this, step = story.steps[node];
    const fan = step ? null : story.fanOut(node);
    const what = fan ? [fact("Item of", story.name(fan[0]))] : factsOf(step);
    const after = step ? story.steps.flatMap((each, place) => ((each.needs ?? []).includes(node) ? [story.name(place)] : [])) : [];
    const more = make("div", { class: "attempts" });
    this.box.replaceChildren(
      ...this.head(story.name(node), chip(story.phaseOf(state, node), true)),
      ...(what.length ? [make("section", {}, make("dl", {}, ...what.flat()))] : []),
      ...(members ? [this.members("Items", members, counts)] : []), more,
      fan ? this.links("Fan-out", [story.name(fan[0])]) : "",
      step ? this.links("Waits for", (step.needs ?? []).map((need) => story.name(need))) : "",
      step ? this.links("Before", after) : "",
    );
    this.fetch(node, more);
  }

  links(title, names) {
    if (!names.length) return "";
    const shown = names.slice(0, 40);
    const link = (name) => make("button", { type: "button", class: "link", onclick: () => this.open([this.story.nodeNamed(name)], true) }, name);
    const left = names.length > shown.length ? make("span", { class: "muted" }, `and ${number(names.length - shown.length)} more`) : "";
    return make("section", {}, make("h3", {}, title), make("div", { class: "links" }, ...shown.map(link), left));
  }

  /** Steps of a group, or items: what has failed or runs stands first. */
  members(title, members, counts) {
    const { story, state } = this;
    const first = ["Failed", "Unknown", "Retrying", "Running", "Scheduled"];
    const rank = (node) => (first.indexOf(story.phaseOf(state, node)) + 1 || 9);
    const sorted = [...members].sort((a, b) => rank(a) - rank(b) || a - b);
    const bar = make("div", { class: "bar", "aria-hidden": "true" });
    fillBar(bar, counts);
    const words = ORDER.filter((phase) => counts[phase]).map((phase) => `${number(counts[phase])} ${phase.toLowerCase()}`).join(", ");
    const box = make("div", { class: "grid members", role: "grid", tabindex: "0", "aria-label": title });
    const section = make("section", {}, make("h3", {}, `${title}: ${words}`), bar, box);
    box.style.marginTop = "8px";
    const rows = new Rows(box, {
      height: 30, fill: (row, index) => gridRow(row, story.name(sorted[index]), chip(story.phaseOf(this.state, sorted[index]))),
      take: (index) => this.open([sorted[index]], true),
    });
    box.style.height = `${Math.min(300, sorted.length * 30 + 2)}px`;
    rows.set(sorted.length);
    return section;
  }

  async fetch(node, more) {
    let told;
    try {
      told = await ask(`${pathOf(this.of)}/steps/${node}?at=${this.state.position}`);
    } catch (error) {
      more.replaceChildren(make("p", { class: "note" }, error.message));
      return;
    }
    const runs = this.story.barsOf.get(node) ?? [];
    more.replaceChildren(...sections(told, runs, this, node));
  }

  async tail(node, attempt, box) {
    box.textContent = "asking …";
    try {
      const told = await ask(`${pathOf(this.of)}/steps/${node}/log?attempt=${attempt}`);
      box.textContent = told.text || told.trouble || "It has written nothing.";
    } catch (error) {
      box.textContent = error.message;
    }
  }
}

const fact = (name, value) => (value === null || value === undefined || value === "" ? [] : [make("dt", {}, name), make("dd", {}, value)]);

function factsOf(step) {
  const kinds = { Approval: "an approval", Wait: "a wait", Workflow: "a sub-workflow" };
  return [
    fact("Kind", kinds[step.kind] ?? (step.fanOut ? "a fan-out" : null)), fact("Asks", step.message), fact("Runs when", step.runWhen === "AllSucceeded" ? null : step.runWhen),
    fact("Condition", step.when ? make("code", {}, step.when) : null), fact("Failure", step.allowFailure ? "is allowed" : null),
    fact("Attempts", step.attempts > 1 ? `at most ${step.attempts}` : null), fact("Part", step.finally ? "finally" : null),
  ].filter((each) => each.length);
}

/** Outputs, the last message and each attempt, from the step's own events. */
function sections(told, bars, detail, node) {
  const { events } = told, found = [];
  const outputs = events.findLast((event) => event.outputs)?.outputs;
  const message = events.findLast((event) => event.message || event.culprit);
  const isOfItself = message && (!message.attempt || detail.story.phaseOf(detail.state, node) !== "Succeeded");
  if (isOfItself) found.push(make("section", {}, make("h3", {}, "Message"), make("p", { class: "message" }, messageOf(message))));
  if (outputs) found.push(make("section", {}, make("h3", {}, "Outputs"), make("dl", {}, ...outputList(outputs))));
  const attempts = bars.filter((bar) => bar.kind === "attempt" && bar.at <= detail.state.position);
  if (!attempts.length) return found;
  const shown = attempts.slice(-10).reverse();
  const left = attempts.length - shown.length;
  const cards = shown.map((bar) => card(bar, events.filter((event) => event.attempt === bar.attempt && event.run === bar.run), detail, node));
  found.push(make("section", {}, make("h3", {}, plural(attempts.length, "attempt")), ...cards, left ? make("p", { class: "muted" }, `and ${left} before these`) : ""));
  return found;
}

function messageOf(event) {
  const parts = [event.reason, event.message, event.culprit ? `because of ${event.culprit}` : ""];
  return parts.filter(Boolean).join(": ");
}

function outputList(outputs) {
  const values = typeof outputs === "string" ? JSON.parse(outputs) : outputs;
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return Object.entries(values).flatMap(([name, value]) => fact(name, make("code", {}, text(value) || " ")));
}

function card(bar, events, detail, node) {
  const { state, story } = detail, timesNow = () => timesOf(bar, detail.state.position, story.now(detail.state)), times = timesNow();
  const queued = make("span", {}, duration(times.queued)), ran = make("span", {}, duration(times.ran));
  if (!times.outcome) detail.ticks.push(() => ([queued.textContent, ran.textContent] = [duration(timesNow().queued), duration(timesNow().ran)]));
  const last = (name) => events.findLast((event) => event[name] !== undefined)?.[name];
  const failed = events.findLast((event) => event.message);
  const runs = story.run > 1 ? `run ${bar.run}, ` : "";
  const log = make("pre", { hidden: true, tabindex: "0", role: "region", "aria-label": `Log of attempt ${bar.attempt}` });
  const key = `${bar.run}/${bar.attempt}`;
  const button = make("button", { type: "button", "aria-expanded": "false", onclick: () => show(log.hidden) }, "Log");
  const show = (isOpen) => {
    log.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    detail.logs[isOpen ? "add" : "delete"](key);
    if (isOpen) detail.tail(node, bar.attempt, log);
  };
  if (detail.logs.has(key)) show(true);
  return make(
    "div", { class: "attempt" },
    make("div", { class: "line" }, make("strong", {}, `${runs}attempt ${bar.attempt}`), make("span", { class: "muted" }, times.outcome || "not over"), button),
    make("dl", {}, ...[
      fact("Waited", duration(times.waited)), fact("Queued", times.queued === null ? null : queued), fact("Ran", times.ran === null ? null : ran),
      fact("Began", clock(story.origin + bar.time, true)), fact("Exit code", last("exit_code") === undefined ? null : String(last("exit_code"))),
      fact("Retry due", bar.due !== null && bar.endAt <= state.position ? clock(story.origin + bar.due, true) : null),
      fact(story.steps[node]?.kind === "Workflow" ? "Child" : "Job", last("job") ?? null), fact("Pod", last("pod") ?? null), fact("Node", last("node") ?? null),
    ].flat()), failed ? make("p", { class: "message" }, failed.message) : "", log,
  );
}
