// The list of Workflows, with its filters.

import { byId, clock, duration, number, plural } from "./dom.js";
import { OVER, WORKFLOW_ORDER, fillBar, sign } from "./phases.js";
import { Rows } from "./rows.js";

const HEIGHT = 68;

export class List {
  constructor({ take }) {
    Object.assign(this, { all: new Map(), shown: [], chosen: null, isKnown: false });
    this.rows = new Rows(byId("workflows"), {
      height: HEIGHT, fill: (row, index) => this.fill(row, this.shown[index]), take: (index) => take(this.shown[index]),
    });
    for (const phase of WORKFLOW_ORDER) byId("filter-phase").append(new Option(phase, phase));
    for (const id of ["filter-text", "filter-namespace", "filter-phase"]) byId(id).addEventListener("input", () => this.choose());
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
  }

  /** What has changed, and which are gone. */
  hear({ changed, gone, whole }) {
    if (whole) this.all.clear();
    this.isKnown ||= Boolean(whole);
    for (const each of changed) this.all.set(`${each.namespace}/${each.name}`, each);
    for (const [namespace, name] of gone) this.all.delete(`${namespace}/${name}`);
    this.fillNamespaces();
    this.choose();
  }

  /** Time has gone on: for how long those run that do. */
  tick() {
    if (this.shown.some((each) => each.startTime && !each.asOf && !OVER.has(each.phase))) this.rows.set(this.shown.length);
  }

  get(namespace, name) {
    return this.all.get(`${namespace}/${name}`);
  }

  /** Which one is shown beside the list. */
  mark(namespace, name) {
    this.chosen = `${namespace}/${name}`;
    this.rows.choose(this.shown.findIndex((each) => `${each.namespace}/${each.name}` === this.chosen));
  }

  fillNamespaces() {
    const select = byId("filter-namespace"), before = select.value;
    const names = [...new Set([...this.all.values()].map((each) => each.namespace))].sort();
    if (names.join() === this.names) return;
    this.names = names.join();
    select.replaceChildren(new Option("All namespaces", ""), ...names.map((name) => new Option(name, name)));
    select.value = names.includes(before) ? before : "";
  }

  /** The newest first; what runs before what is over. */
  choose() {
    const text = byId("filter-text").value.trim().toLowerCase();
    const namespace = byId("filter-namespace").value, phase = byId("filter-phase").value;
    const fits = (each) => (!namespace || each.namespace === namespace) && (!phase || each.phase === phase) && each.name.toLowerCase().includes(text);
    const rank = (each) => (OVER.has(each.phase) ? "0" : "1") + (each.startTime ?? each.created ?? "");
    this.shown = [...this.all.values()].filter(fits).sort((a, b) => (rank(a) < rank(b) ? 1 : rank(a) > rank(b) ? -1 : a.name.localeCompare(b.name)));
    this.rows.set(this.shown.length);
    this.rows.choose(this.shown.findIndex((each) => `${each.namespace}/${each.name}` === this.chosen));
    const total = this.all.size;
    byId("list-count").textContent = this.shown.length === total ? plural(total, "workflow") : `${number(this.shown.length)} of ${plural(total, "workflow")}`;
  }

  fill(row, told) {
    row.classList.add("item");
    const counts = countsOf(told);
    const bar = element("div", "bar");
    bar.setAttribute("aria-hidden", "true");
    fillBar(bar, counts);
    row.append(
      sign(told.phase), element("span", "name", told.name), element("span", "when muted", when(told)),
      element("span", "sub muted", `${told.phase} · ${told.namespace}${told.reason && ![told.phase, "Completed"].includes(told.reason) ? ` · ${told.reason}` : ""}`),
      element("span", "done muted", told.progress ?? ""), bar,
    );
    row.title = `${told.namespace}/${told.name}${told.message ? `\n${told.message}` : ""}`;
  }
}

function element(tag, kind, text = "") {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}

/** The counts of a status, by phase. */
export function countsOf(told) {
  const counts = {};
  for (const [name, count] of Object.entries(told.counts ?? {})) {
    if (name !== "total") counts[name[0].toUpperCase() + name.slice(1)] = count;
  }
  return counts;
}

function when(told) {
  if (!told.startTime) return told.created ? clock(Date.parse(told.created)) : "";
  const until = told.completionTime ?? told.asOf;
  const end = until ? Date.parse(until) : Date.now();
  const lasted = duration(end - Date.parse(told.startTime));
  return told.completionTime ? lasted : OVER.has(told.phase) ? "" : `for ${lasted}`;
}
