// The graph of a workflow's steps, drawn on a canvas; a fan-out or a group of alike steps is one node with counts.

import cytoscape from "../vendor/cytoscape.js";
import { byId, number, oncePerFrame, plural, speak } from "./dom.js";
import { nodesOf } from "./groups.js";
import { HEIGHT, TALL, WIDTH, place } from "./layout.js";
import { ORDER, OVER, SIGNS, colour } from "./phases.js";
import { picture } from "./pictures.js";
import { graphStyle } from "./graph-style.js";

const SINKS_MAX = 12; // more are not joined to `finally`
const MANY_EDGES = 1500; // more are left out while the graph is moved
const ZOOM_STEP = 1.3, ZOOM_MAX = 2.5, READABLE = 0.55, FAR = 0.32, FEW = 40;

export class Graph {
  constructor(box, { select, open }) {
    Object.assign(this, { box, select, open, cy: null, story: null, state: null, shown: new Map(), node: null, marked: -1 });
    box.addEventListener("keydown", (event) => this.onKey(event));
    byId("graph-group").addEventListener("change", () => this.build());
    byId("graph-in").addEventListener("click", () => this.zoom(ZOOM_STEP));
    byId("graph-out").addEventListener("click", () => this.zoom(1 / ZOOM_STEP));
    byId("graph-fit").addEventListener("click", () => this.fit());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
    this.isHurt = false;
    new ResizeObserver(oncePerFrame(() => this.resize())).observe(box);
  }

  /** Another workflow, or null. */
  show(story) {
    Object.assign(this, { story, state: null, marked: -1 });
    this.cy?.destroy();
    this.cy = null; // made with the first state that is shown
  }

  build() {
    this.cy?.destroy();
    this.cy = null;
    this.shown.clear();
    this.node = null;
    if (!this.story?.steps.length || !this.state || !this.box.clientWidth) return;
    const { nodes, nodeOf } = nodesOf(this.story.steps, byId("graph-group").checked);
    Object.assign(this, { nodes, nodeOf });
    for (const node of nodes) node.height = node.places.length > 1 || node.step.fanOut ? TALL : HEIGHT;
    const edges = nodes.flatMap((node) => [...node.dependents].map((to) => [node, to]));
    const last = this.joinFinally(nodes);
    place(nodes, [...edges, ...last]);
    this.cy = cytoscape({
      container: this.box, elements: this.elements(nodes, edges, last), style: graphStyle(edges.length > MANY_EDGES), layout: { name: "preset" },
      minZoom: 0.01, maxZoom: ZOOM_MAX, boxSelectionEnabled: false, autoungrabify: true, autounselectify: true,
      hideEdgesOnViewport: edges.length > MANY_EDGES, textureOnViewport: edges.length > MANY_EDGES,
    });
    this.isFar = false;
    this.cy.on("zoom", () => this.lookFar());
    this.cy.on("dragpan scrollzoom pinchzoom", () => (this.isMoved = true));
    this.cy.on("tap", "node", (event) => this.go(event.target.scratch("node"), true));
    this.mark(this.marked);
    this.frame();
  }

  /** What a node looks like when it is made: at once as it is to be, since each change costs. */
  first(node) {
    if (!this.state) return { picture: picture("Pending") };
    const look = this.look(node);
    this.shown.set(node, JSON.stringify(look));
    return this.drawing(node, look);
  }

  /** Steps of `finally` come after all others: joined where that can be seen. */
  joinFinally(nodes) {
    const roots = nodes.filter((node) => node.step.finally && !node.needs.size);
    const sinks = nodes.filter((node) => !node.step.finally && !node.dependents.size);
    if (!roots.length || sinks.length > SINKS_MAX) return [];
    for (const root of roots) root.after = sinks;
    return sinks.flatMap((sink) => roots.map((root) => [sink, root]));
  }

  elements(nodes, edges, last) {
    const drawn = nodes.map((node) => ({
      group: "nodes", data: { id: node.id, label: node.label, height: node.height, ...this.first(node) },
      classes: node.height === TALL ? "many" : "", position: { x: node.x, y: node.y }, scratch: { node },
    }));
    const line = (kind) => ([from, to]) => ({ group: "edges", data: { source: from.id, target: to.id }, classes: kind });
    return [...drawn, ...edges.map(line("")), ...last.map(line("finally"))];
  }

  /** The state as of then: only what looks different is drawn anew. */
  update(state) {
    this.state = state;
    if (!this.cy) return this.build();
    this.cy.batch(() => {
      for (const node of this.nodes) {
        const look = this.look(node), key = JSON.stringify(look);
        if (this.shown.get(node) === key) continue;
        this.shown.set(node, key);
        this.cy.getElementById(node.id).data(this.drawing(node, look));
      }
    });
  }

  look(node) {
    const { story, state } = this, [first] = node.places;
    const phase = story.phaseOf(state, first);
    if (node.height !== TALL) return { phase };
    const items = node.step.fanOut ? story.itemsOf(state, first) : null;
    if (node.step.fanOut && !items) return { phase, total: null };
    const nodes = items ? range(items.first, items.count) : node.places;
    return { phase: items ? phase : null, counts: story.counts(state, nodes), total: nodes.length };
  }

  drawing(node, look) {
    const phase = look.phase ?? worst(look.counts);
    const looks = { phase, fill: colour(phase), border: phase === "Pending" ? colour("line-strong") : colour(phase), picture: picture(phase, look.counts) };
    if (node.height !== TALL) return looks;
    const title = look.total === null ? cut(node.label, 22) : `${cut(node.label, 15)} ×${number(look.total)}`;
    return { ...looks, label: `${title}\n${look.total === null ? "not begun" : inSigns(look.counts)}` };
  }

  /** Mark the node of this step or item, without moving to it. */
  mark(place) {
    this.marked = place;
    if (!this.cy) return;
    this.cy.$(".selected").removeClass("selected");
    this.node = place < 0 ? null : this.nodeOf[place < this.story.steps.length ? place : this.story.fanOut(place)[0]];
    if (this.node) this.cy.getElementById(this.node.id).addClass("selected");
  }

  go(node, opens) {
    this.mark(node.places[0]);
    if (this.bringIntoSight(node)) this.isMoved = true;
    speak(this.describe(node));
    this.select(node.places);
    if (opens) this.open(node.places);
  }

  describe(node) {
    const look = this.look(node);
    const what = look.counts ? `${plural(look.total, node.step.fanOut ? "item" : "step")}, ${inWords(look.counts)}` : look.phase;
    return `${node.label}, ${what}, waits for ${plural(node.needs.size, "node")}, ${plural(node.dependents.size, "node")} after it`;
  }

  onKey(event) {
    if (!this.cy || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { "+": () => this.zoom(ZOOM_STEP), "=": () => this.zoom(ZOOM_STEP), "-": () => this.zoom(1 / ZOOM_STEP), 0: () => this.fit() };
    if (event.key in keys) keys[event.key]();
    else if (event.key.startsWith("Arrow")) this.step(event.key.slice(5));
    else if ((event.key === "Enter" || event.key === " ") && this.node) this.open(this.node.places);
    else return;
    event.preventDefault();
  }

  step(direction) {
    const { node } = this;
    if (!node) return this.go(this.nodes.toSorted((a, b) => a.x - b.x || a.y - b.y)[0], false);
    const nearest = (found) => found.toSorted((a, b) => Math.abs(a.y - node.y) - Math.abs(b.y - node.y))[0];
    const sideways = direction === "Down" ? 1 : -1;
    const found = {
      Right: () => nearest([...node.dependents, ...this.nodes.filter((each) => each.after?.includes(node))]),
      Left: () => nearest([...node.needs, ...(node.after ?? [])]),
    }[direction] ?? (() => nearest(this.nodes.filter((each) => Math.abs(each.x - node.x) < WIDTH / 2 && (each.y - node.y) * sideways > 1)));
    const next = found();
    if (next) this.go(next, false);
    else speak("nothing further there");
  }

  /** Whether the view had to be moved for that. */
  bringIntoSight(node) {
    const { clientWidth: width, clientHeight: height } = this.box;
    const zoom = Math.max(this.cy.zoom(), READABLE);
    if (zoom === this.cy.zoom() && this.isInSight(node, this.box)) return false;
    this.cy.viewport({ zoom, pan: { x: width / 2 - node.x * zoom, y: height / 2 - node.y * zoom } });
    return true;
  }

  isInSight(node, { clientWidth: width, clientHeight: height }) {
    const drawn = this.cy.getElementById(node.id), { x, y } = drawn.renderedPosition();
    const [beside, above] = [Math.max(100, drawn.renderedWidth() / 2), Math.max(40, drawn.renderedHeight() / 2)];
    return x > beside && x < width - beside && y > above && y < height - above;
  }

  zoom(factor) {
    const middle = { x: this.box.clientWidth / 2, y: this.box.clientHeight / 2 };
    this.cy?.zoom({ level: this.cy.zoom() * factor, renderedPosition: middle });
    this.isMoved = true;
  }

  /** Where names cannot be read, a node is a patch of colour. */
  lookFar() {
    const isFar = this.cy.zoom() < FAR;
    if (isFar === this.isFar) return;
    this.isFar = isFar;
    this.cy.batch(() => this.cy.nodes().toggleClass("far", isFar));
  }

  /** All of it in sight if it can be read then; else its beginning, or the node that is marked. */
  frame() {
    this.fit();
    if (this.nodes.length > FEW || this.cy.zoom() >= READABLE) return;
    const { y1, h } = this.cy.elements().boundingBox(), left = Math.min(...this.nodes.map((node) => node.x)) - WIDTH;
    const pan = { x: -left * READABLE, y: this.box.clientHeight / 2 - (y1 + h / 2) * READABLE };
    this.cy.viewport({ zoom: READABLE, pan });
    if (this.node) this.bringIntoSight(this.node);
  }

  /** All of it in sight, but no larger than life. */
  fit() {
    if (!this.cy) return;
    this.cy.fit(undefined, 28);
    if (this.cy.zoom() > 1) {
      this.cy.zoom(1);
      this.cy.center();
    }
    this.isMoved = false;
  }

  /** Where a person has moved it, it stays; but the node that is marked does not go out of sight, such as under the panel. */
  resize() {
    const { size } = this, { clientWidth, clientHeight } = this.box;
    if (!clientWidth) return;
    this.size = { clientWidth, clientHeight };
    if (!this.cy) return this.build();
    this.cy.resize();
    if (!this.isMoved) this.frame();
    else if (this.node && size && this.isInSight(this.node, size)) this.bringIntoSight(this.node);
  }

  restyle() {
    picture.forget();
    this.shown.clear();
    this.cy?.style(graphStyle(this.cy.edges().length > MANY_EDGES));
    if (this.state) this.update(this.state);
  }
}

const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
const range = (first, count) => Array.from({ length: count }, (_, index) => first + index);

const SHOWN = ["Failed", "Unknown", "Retrying", "Running", "Scheduled", "Suspended", "Pending", "Succeeded", "Skipped", "Cancelled"];

/** What most wants to be seen of a group. */
function worst(counts) {
  const open = SHOWN.find((phase) => counts[phase] && phase !== "Pending" && !OVER.has(phase));
  return counts.Failed ? "Failed" : open ?? SHOWN.find((phase) => counts[phase]) ?? "Pending";
}

const inWords = (counts) => ORDER.filter((phase) => counts[phase]).map((phase) => `${number(counts[phase])} ${phase}`).join(", ");

/** With signs, as many as there is room for; what is over or in trouble before what is still to come. */
function inSigns(counts) {
  const shown = ORDER.filter((phase) => counts[phase]).slice(0, 3);
  return shown.map((phase) => `${SIGNS[phase]} ${number(counts[phase])}`).join("   ");
}
