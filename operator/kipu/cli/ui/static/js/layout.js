// Where the nodes of a graph stand, from left to right. Dagre does it well for some hundred; beyond that its time grows
// faster than the graph, so that large graphs are laid out by rank alone: what waits for it stands right of a node.

import * as dagre from "../vendor/dagre.js";

export const WIDTH = 188, HEIGHT = 46, TALL = 60;
const GAP_X = 64, GAP_Y = 18;
const DAGRE_NODES_MAX = 400, DAGRE_EDGES_MAX = 1200;
const COLUMN_MAX = 60; // nodes of one rank above each other; more stand in columns side by side
const SWEEPS = 4;

export function place(nodes, edges) {
  if (nodes.length <= DAGRE_NODES_MAX && edges.length <= DAGRE_EDGES_MAX) placeByDagre(nodes, edges);
  else placeByRank(nodes);
}

function placeByDagre(nodes, edges) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: GAP_Y, ranksep: GAP_X, edgesep: 12 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node.id, { width: WIDTH, height: node.height });
  for (const [from, to] of edges) graph.setEdge(from.id, to.id);
  dagre.layout(graph);
  for (const node of nodes) ({ x: node.x, y: node.y } = graph.node(node.id));
}

function placeByRank(nodes) {
  const ranks = [];
  for (const node of inOrder(nodes)) {
    node.rank = Math.max(-1, ...[...node.needs].map((need) => need.rank)) + 1;
    (ranks[node.rank] ??= []).push(node);
  }
  for (const rank of ranks) rank.forEach((node, index) => (node.order = index));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forward = sweep % 2 === 0;
    for (const rank of forward ? ranks : [...ranks].reverse()) untangle(rank, forward ? "needs" : "dependents");
  }
  let x = 0;
  for (const rank of ranks) {
    const columns = Math.ceil(rank.length / COLUMN_MAX), tall = Math.ceil(rank.length / columns);
    rank.forEach((node, index) => {
      node.x = x + Math.floor(index / tall) * (WIDTH + 14);
      node.y = (index % tall - (tall - 1) / 2) * (TALL + GAP_Y);
    });
    x += columns * (WIDTH + 14) + GAP_X;
  }
}

/** Needs before what waits for them. */
function inOrder(nodes) {
  const unmet = new Map(nodes.map((node) => [node, node.needs.size]));
  const free = nodes.filter((node) => node.needs.size === 0);
  for (const node of free) {
    for (const dependent of node.dependents) {
      unmet.set(dependent, unmet.get(dependent) - 1);
      if (unmet.get(dependent) === 0) free.push(dependent);
    }
  }
  return free;
}

/** Each node near the middle of its neighbours in the next rank. */
function untangle(rank, side) {
  for (const node of rank) {
    const near = [...node[side]];
    node.middle = near.length ? near.reduce((sum, each) => sum + each.order, 0) / near.length : node.order;
  }
  rank.sort((a, b) => a.middle - b.middle);
  rank.forEach((node, index) => (node.order = index));
}
