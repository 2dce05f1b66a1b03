// The page: it listens to the list, shows one workflow, and keeps its views at one position.

import { ask, listen, pathOf } from "./api.js";
import { Detail } from "./detail.js";
import { byId, duration, make, number, oncePerFrame, plural } from "./dom.js";
import { Events } from "./events.js";
import { Gantt } from "./gantt.js";
import { Graph } from "./graph.js";
import { List } from "./list.js";
import { ORDER, OVER, chip, fillBar, sign } from "./phases.js";
import * as route from "./route.js";
import { Scrubber } from "./scrubber.js";
import { Steps } from "./steps.js";
import { Story } from "./story.js";

const VIEWS = ["graph", "steps", "timeline", "events"];

const TICK_MS = 1000; // while something runs, the time that it has run

const page = { story: null, of: null, at: null, view: "graph", node: null, turn: 0, isFollowing: false, missed: null };
const people = { select: (nodes) => choose(nodes, false), open: (nodes, focus) => choose(nodes, true, focus) };
const list = new List({ take: (told) => show({ namespace: told.namespace, name: told.name, view: page.view, at: null, step: null }, true) });
const graph = new Graph(byId("graph"), people);
const steps = new Steps(byId("steps"), people);
const gantt = new Gantt(byId("gantt"), people);
const events = new Events(byId("events"), { travel: (position) => scrubber.jump(position) });
const detail = new Detail(byId("detail"), { open: people.open, close: () => settle() });
const scrubber = new Scrubber({ travel: (at) => { page.at = at; update(); }, settle });

// -- one workflow --------------------------------------------------------------------------------------------

async function show(to, isNew = false) {
  const isSame = page.story && page.of?.namespace === to.namespace && page.of?.name === to.name;
  const turn = (page.turn += 1); // whoever is overtaken while it waits gives up
  page.of = { namespace: to.namespace, name: to.name };
  page.view = VIEWS.includes(to.view) ? to.view : "graph";
  page.missed = null;
  document.body.classList.add("has-workflow");
  list.mark(to.namespace, to.name);
  if (isNew) route.write(to, { isNew });
  if (!isSame) {
    page.story = null;
    sayEmpty(to.name, "Its history is being read …");
    try {
      const story = await fetchStory(page.of, null);
      if (turn !== page.turn) return;
      page.story = story;
    } catch (error) {
      if (turn !== page.turn) return;
      page.missed = to;
      return sayEmpty("It cannot be shown", error.message);
    }
  }
  byId("empty").hidden = true;
  byId("workflow").hidden = false;
  turnTo(page.view);
  page.at = to.at !== null && to.at < page.story.position ? Math.max(1, to.at) : null;
  if (!isSame) begin();
  scrubber.show(page.story, page.at);
  updateNow();
  if (page.view === "events") events.follow();
  if (to.step) choose([page.story.nodeNamed(to.step)].filter((node) => node >= 0), true);
  else if (isSame) detail.hide();
  if (isNew) byId("main-heading").focus();
}

/** Another story: every view begins anew. */
function begin() {
  page.node = null;
  for (const view of [graph, gantt, steps]) view.show(page.story);
  for (const view of [events, detail]) view.show(page.story, page.of);
}

/** The story of a workflow: the one that is known, grown, or another one. */
async function fetchStory(of, known) {
  const since = known?.definition ? known.position : 0;
  const told = await ask(`${pathOf(of)}/story?since=${since}`);
  if (since && told.since === since && told.uid === known.uid) return known.grow(told);
  return new Story(told.since ? await ask(`${pathOf(of)}/story?since=0`) : told);
}

/** What could not be shown, such as before an operator took it up, is asked for again when the list tells of it. */
function retry(changed) {
  const { missed } = page;
  if (missed && changed.some((told) => told.namespace === missed.namespace && told.name === missed.name)) show(missed);
}

const hasMoved = (told) => told && page.story && (told.position > page.story.position || told.uid !== page.story.uid);

/** The list says that the log has moved: ask for what is new, one question at a time. */
async function follow() {
  if (page.isFollowing) return;
  page.isFollowing = true;
  try {
    while (page.of && hasMoved(list.get(page.of.namespace, page.of.name))) {
      const { story, of, turn } = page, before = story.position, after = await fetchStory(of, story);
      if (turn !== page.turn) continue;
      page.story = after;
      if (after === story) gantt.grow();
      else begin();
      scrubber.grow(after);
      update();
      if (after === story && after.position === before) break; // the log is not yet where the list has seen it
    }
  } catch (error) {
    sayTrouble(error.message); // the next change of the list asks again
  } finally {
    page.isFollowing = false;
  }
}

function sayEmpty(title, text) {
  byId("workflow").hidden = true;
  byId("empty").hidden = false;
  byId("empty-title").textContent = title;
  byId("empty-text").textContent = text;
}

// -- one position --------------------------------------------------------------------------------------------

const update = oncePerFrame(() => updateNow());

function updateNow() {
  const { story, of } = page;
  if (!story) return;
  const told = list.get(of.namespace, of.name);
  story.isLive = Boolean(told) && !told.asOf && told.uid === story.uid;
  const state = story.at(page.at ?? story.position);
  drawHead(state);
  if (page.view === "graph") graph.update(state);
  if (page.view === "steps") steps.update(state);
  if (page.view === "timeline") gantt.update(state);
  if (page.view === "events") events.update(state);
  detail.update(state);
}

function drawHead(state) {
  const { story, of } = page;
  const phase = story.workflowPhases[state.phase];
  byId("main-heading").textContent = of.name;
  byId("phase").replaceWith(Object.assign(chip(phase, true), { id: "phase" }));
  const nodes = story.nodesAt(state), counts = story.counts(state, nodes), items = Math.max(0, nodes.length - story.steps.length);
  const lasted = duration(story.now(state));
  const facts = [of.namespace, plural(story.steps.length, "step"), items ? plural(items, "item") : "", state.run > 1 ? `run ${state.run}` : "", lasted ? `${OVER.has(phase) ? "took" : "after"} ${lasted}` : ""];
  byId("head-facts").textContent = facts.filter(Boolean).join(" · ");
  const isGone = list.isKnown && !list.get(of.namespace, of.name);
  const notes = [...(isGone ? ["it was deleted; what is shown was read before"] : []), ...story.notes, ...story.problems];
  byId("notes").hidden = !notes.length;
  byId("notes").textContent = notes.join("; ");
  fillBar(byId("bar"), counts);
  drawLegend(counts);
  document.title = `${of.name}: ${phase} — Kipu`;
}

function drawLegend(counts) {
  const shown = ORDER.filter((phase) => counts[phase]), legend = byId("legend");
  if (legend.dataset.phases !== shown.join()) {
    legend.dataset.phases = shown.join();
    legend.replaceChildren(...shown.map((phase) => make("button", { type: "button", title: `Steps that are ${phase}`, onclick: () => listPhase(phase) }, sign(phase), make("strong"), phase)));
  }
  shown.forEach((phase, index) => (legend.children[index].querySelector("strong").textContent = number(counts[phase])));
}

function listPhase(phase) {
  turnTo("steps");
  updateNow();
  steps.filter(phase);
  byId("steps").focus();
}

// -- one step, one view --------------------------------------------------------------------------------------

function choose(nodes, opens, focus = false) {
  if (!nodes.length) return;
  page.node = nodes[0];
  graph.mark(page.node);
  if (page.view === "steps") steps.mark(page.node);
  else steps.marked = page.node;
  gantt.mark(page.node);
  if (opens || !byId("detail").hidden) detail.take(nodes, { focus: focus || (opens && document.activeElement?.closest("[role=grid],[role=application]")) });
  settle();
}

function turnTo(view) {
  page.view = view;
  for (const each of VIEWS) {
    const tab = byId(`tab-${each}`), isChosen = each === view;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    byId(`view-${each}`).hidden = !isChosen;
  }
}

function onTab(view, focuses = false) {
  turnTo(view);
  updateNow();
  if (view === "events") events.follow();
  if (focuses) byId(`tab-${view}`).focus();
  settle();
}

/** Write down what is shown, once nothing moves. */
function settle() {
  if (!page.of || !page.story) return;
  const step = byId("detail").hidden || page.node === null ? null : page.story.name(page.node);
  route.write({ ...page.of, view: page.view, at: page.at, step });
}

// -- the beginning -------------------------------------------------------------------------------------------

for (const view of VIEWS) {
  byId(`tab-${view}`).addEventListener("click", () => onTab(view));
  byId(`tab-${view}`).addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) onTab(VIEWS[(VIEWS.indexOf(view) + by + VIEWS.length) % VIEWS.length], true);
  });
}
byId("back").addEventListener("click", () => {
  document.body.classList.remove("has-workflow");
  byId("workflows").focus();
});
addEventListener("popstate", () => fromAddress());
addEventListener("hashchange", () => fromAddress());

function fromAddress() {
  const to = route.read();
  if (to.name) show(to);
}

function sayTrouble(text) {
  byId("list-note").hidden = !text;
  byId("list-note").textContent = text;
}

function invite() {
  if (list.all.size) sayEmpty("Choose a workflow", "Its graph, its timeline and its history are shown here.");
  else sayEmpty("No workflows yet", "What is submitted stands in the list at once.");
}

setInterval(() => {
  list.tick();
  if (page.story?.isRunning(page.story.cursor)) update();
}, TICK_MS);

let isFirst = true;
listen(
  (told) => {
    if (told.trouble !== undefined) sayTrouble(told.trouble);
    list.hear(told);
    if (isFirst) {
      isFirst = false;
      if (page.of) list.mark(page.of.namespace, page.of.name);
      else if (list.shown.length === 1) show({ ...list.shown[0], view: "graph", at: null, step: null });
    }
    if (!page.of) invite();
    retry(told.changed);
    if (told.whole || told.gone.length) update();
    follow();
  },
  () => sayTrouble("kipu does not answer: was it ended in the terminal?"),
);
ask("about").then((about) => (byId("where").textContent = byId("where").title = about.label), () => {});
fromAddress();
