// Which nodes a graph is drawn with: steps, and groups of steps that are alike. Fan-outs are one node already.
//
// First those are alike that wait for the very same steps, and for which the very same wait. Where many nodes are left,
// those too that stand at the same place of the graph.

const ALIKE_MIN = 6; // fewer are drawn one by one
const SMALL = 40; // steps: such a graph is drawn as it is
const READABLE = 120; // nodes; if more are left, steps are taken for alike more freely
const ROUNDS = 12;

/** Alike are steps at the same place of the graph: see `marks`. */
export function nodesOf(steps, groupsAlike) {
  const dependents = steps.map(() => []);
  steps.forEach((step, place) => (step.needs ?? []).forEach((need) => dependents[need].push(place)));
  const nodes = [], nodeOf = new Array(steps.length);
  for (const places of classes(steps, dependents, groupsAlike && steps.length > SMALL)) {
    const node = { id: `n${places[0]}`, places, step: steps[places[0]], needs: new Set(), dependents: new Set() };
    node.label = places.length > 1 ? commonName(places.map((place) => steps[place].name)) : node.step.name;
    for (const place of places) nodeOf[place] = node;
    nodes.push(node);
  }
  steps.forEach((step, place) => {
    for (const need of step.needs ?? []) {
      nodeOf[place].needs.add(nodeOf[need]);
      nodeOf[need].dependents.add(nodeOf[place]);
    }
  });
  return { nodes, nodeOf };
}

function classes(steps, dependents, groupsAlike) {
  if (!groupsAlike) return steps.map((_, place) => [place]);
  const strict = gather(steps.map((step, place) => `${kindOf(step, place)}|${step.needs ?? ""}|${dependents[place]}`));
  return strict.length <= READABLE ? strict : gather(marks(steps, dependents));
}

function gather(found) {
  const alike = new Map();
  found.forEach((mark, place) => {
    if (!alike.has(mark)) alike.set(mark, []);
    alike.get(mark).push(place);
  });
  return [...alike.values()].flatMap((places) => (places.length >= ALIKE_MIN ? [places] : places.map((place) => [place])));
}

/** What steps of one group share; only plain steps are grouped. */
const kindOf = (step, place) => (step.fanOut || step.kind !== "Run" ? `#${place}` : `${step.finally ?? ""}${step.runWhen}`);

/**
 * Marks that steps at the same place of the graph share, though each may wait for a step of its own: as far from the
 * beginning, behind steps with the same marks and before steps with the same marks. As edges lead away from the
 * beginning, groups never wait for each other in a circle.
 */
function marks(steps, dependents) {
  const rank = ranks(steps, dependents);
  let found = steps.map((step, place) => `${rank[place]}|${kindOf(step, place)}`);
  for (let round = 0; round < ROUNDS; round += 1) {
    const numbers = new Map();
    const short = found.map((mark) => numbers.get(mark) ?? (numbers.set(mark, numbers.size), numbers.size - 1));
    const set = (places) => [...new Set(places.map((place) => short[place]))].sort((a, b) => a - b).join();
    const next = steps.map((step, place) => `${short[place]}|${set(step.needs ?? [])}|${set(dependents[place])}`);
    if (new Set(next).size === numbers.size) return next;
    found = next;
  }
  return found;
}

/** The longest way from the beginning to each step. */
function ranks(steps, dependents) {
  const rank = new Array(steps.length).fill(0), unmet = steps.map((step) => (step.needs ?? []).length);
  const free = [...unmet.keys()].filter((place) => unmet[place] === 0);
  for (const place of free) {
    for (const dependent of dependents[place]) {
      rank[dependent] = Math.max(rank[dependent], rank[place] + 1);
      unmet[dependent] -= 1;
      if (unmet[dependent] === 0) free.push(dependent);
    }
  }
  return rank;
}

/** What the names have in common: `shard-…`. */
export function commonName(names) {
  const first = names[0];
  let length = first.length;
  for (const name of names) {
    while (!name.startsWith(first.slice(0, length))) length -= 1;
  }
  const common = first.slice(0, length).replace(/[-_.0-9]+$/, "");
  return common ? `${common}-…` : `${first}, …`;
}
