// One workflow's history as the server tells it (facts.py), and what it was at any position.
//
// The rules are the core's: a phase is what the server's fold came to. Here facts are only laid over each other, and a
// copy is kept every so often, so that any moment of a long history is a short walk from one.

import { OVER } from "./phases.js";

const BETWEEN_COPIES = 4096; // facts; x 12,000 nodes = 12 KB a copy; a walk of so many takes under a millisecond

export class Story {
  constructor(told) {
    Object.assign(this, {
      uid: told.uid, origin: told.origin, definition: told.definition ?? null, words: told.words,
      stepPhases: told.stepPhases, workflowPhases: told.workflowPhases, outcomes: told.outcomes,
      isLive: false, position: 0, times: [], expansions: [], notes: [], problems: [],
    });
    this.steps = this.definition?.steps ?? [];
    this.columns = [[], [], [], []];
    this.bars = []; // attempts, rests, fan-outs: what is drawn in time
    this.barsOf = new Map(); // by node
    this.endOf = new Map(); // when a node was over, the last time
    this.runStart = 0;
    this.cursor = { fact: 0, phases: new Uint8Array(this.steps.length), expanded: new Int32Array(this.steps.length).fill(-1), phase: 0, run: 0 };
    this.copies = [this.copy(this.cursor)];
    this.grow(told);
  }

  /** Take in what is new. */
  grow(told) {
    const from = this.columns[0].length;
    for (const time of told.times) this.times.push(time);
    told.facts.forEach((column, index) => {
      const mine = this.columns[index];
      for (const value of column) mine.push(value);
    });
    Object.assign(this, { position: told.position, hash: told.hash, expansions: told.expansions, notes: told.notes, problems: told.problems });
    for (let fact = from; fact < this.columns[0].length; fact += 1) this.drawFact(fact);
    this.keepCopies();
    return this;
  }

  get nodeCount() {
    return this.expansions.reduce((most, [, first, count]) => Math.max(most, first + count), this.steps.length);
  }

  timeAt(position) {
    return position > 0 ? this.times[Math.min(position, this.times.length) - 1] : 0;
  }

  /** Whether time goes on: at the newest position of a workflow of a cluster that is not over. */
  isRunning(state) {
    return this.isLive && state.position === this.position && !OVER.has(this.workflowPhases[state.phase]);
  }

  /** The time at a state, in milliseconds after the first record: that of its last event, or this very moment. */
  now(state) {
    const last = this.timeAt(state.position);
    return this.isRunning(state) ? Math.max(last, Date.now() - this.origin) : last;
  }

  /** The last position at a time, in milliseconds after the first record. */
  positionAt(time) {
    let low = 0, high = this.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return Math.max(1, low);
  }

  name(node) {
    if (node < this.steps.length) return this.steps[node].name;
    const [parent, first] = this.fanOut(node);
    return `${this.steps[parent].name}[${node - first}]`;
  }

  /** The expansion that an item belongs to: its fan-out, the first item, how many. */
  fanOut(node) {
    return this.expansions.find(([, first, count]) => first <= node && node < first + count);
  }

  nodeNamed(name) {
    const parts = /^(.*)\[(\d+)\]$/.exec(name);
    const step = this.steps.findIndex((each) => each.name === (parts ? parts[1] : name));
    if (!parts || step < 0) return step;
    const found = this.expansions.find(([parent, , count]) => parent === step && Number(parts[2]) < count);
    return found ? found[1] + Number(parts[2]) : -1;
  }

  // -- folding -----------------------------------------------------------------------------------------------

  /** The state at a position; it stays as it is until the next call. */
  at(position) {
    const [positions] = this.columns;
    let state = this.cursor;
    if (state.fact > 0 && positions[state.fact - 1] > position) {
      const nearest = this.copies.findLast((copy) => copy.fact === 0 || positions[copy.fact - 1] <= position);
      state = this.cursor = this.copy(nearest);
    } else {
      const better = this.copies.findLast((copy) => copy.fact > state.fact && positions[copy.fact - 1] <= position);
      if (better) state = this.cursor = this.copy(better);
    }
    while (state.fact < positions.length && positions[state.fact] <= position) this.apply(state);
    state.position = position;
    return state;
  }

  apply(state) {
    const [, nodes, kinds, numbers] = this.columns;
    const { words } = this, fact = state.fact, node = nodes[fact], value = numbers[fact];
    if (kinds[fact] === words.PHASE) {
      if (node < 0) state.phase = value;
      else {
        this.makeRoom(state, node);
        state.phases[node] = value;
        if (node < this.steps.length && value === 0) state.expanded[node] = -1;
      }
    } else if (kinds[fact] === words.EXPANDED) {
      const [parent, first, count] = this.expansions[value];
      this.makeRoom(state, first + count - 1);
      state.expanded[parent] = value;
      state.phases.fill(0, first, first + count);
    } else if (kinds[fact] === words.RUN) state.run = value;
    state.fact += 1;
  }

  makeRoom(state, node) {
    if (node < state.phases.length) return;
    const larger = new Uint8Array(Math.max(node + 1, this.nodeCount));
    larger.set(state.phases);
    state.phases = larger;
  }

  copy(state) {
    return { ...state, phases: state.phases.slice(), expanded: state.expanded.slice() };
  }

  keepCopies() {
    const between = Math.max(BETWEEN_COPIES, this.nodeCount);
    let last = this.copies.at(-1);
    while (this.columns[0].length - last.fact > between) {
      const next = this.copy(last), stop = last.fact + between;
      while (next.fact < stop) this.apply(next);
      this.copies.push(next); // may lie within a position: `at` then walks on, or takes the one before
      last = next;
    }
  }

  /** Every step, and behind each fan-out that has begun its items; none before the workflow was accepted. */
  nodesAt(state) {
    if (!state.run) return [];
    return this.steps.flatMap((step, node) => {
      const items = step.fanOut ? this.itemsOf(state, node) : null;
      return items ? [node, ...Array.from({ length: items.count }, (_, index) => items.first + index)] : [node];
    });
  }

  /** How many of these are in each phase. */
  counts(state, nodes) {
    const found = {};
    for (const node of nodes) {
      const phase = this.stepPhases[state.phases[node] ?? 0];
      found[phase] = (found[phase] ?? 0) + 1;
    }
    return found;
  }

  /** The items that a fan-out has in this state: the first node, how many; null before it has begun. */
  itemsOf(state, step) {
    const expansion = state.expanded[step];
    return expansion === undefined || expansion < 0 ? null : { first: this.expansions[expansion][1], count: this.expansions[expansion][2] };
  }

  phaseOf(state, node) {
    return this.stepPhases[state.phases[node] ?? 0];
  }

  // -- what is drawn in time ---------------------------------------------------------------------------------

  drawFact(fact) {
    const [position, node, kind, value] = this.columns.map((column) => column[fact]);
    const { words } = this, time = this.timeAt(position);
    const bar = node >= 0 ? this.barsOf.get(node)?.at(-1) : null;
    const isOpen = bar && bar.end === null;
    if (node < 0) {
      if (kind === words.RUN) [this.runStart, this.run, this.finalStart] = [time, value, time];
      else if (kind === words.PHASE && this.workflowPhases[value] === "Finalizing") this.finalStart = time;
    } else if (kind === words.SCHEDULED) this.begin(node, "attempt", value, position, time);
    else if (kind === words.RESTS) Object.assign(this.begin(node, "rest", 0, position, time), { started: time, startedAt: position });
    else if (kind === words.EXPANDED) Object.assign(this.begin(node, "items", 0, position, time), { started: time, startedAt: position });
    else if (kind === words.STARTED && isOpen) Object.assign(bar, { started: Math.min(Math.max(value, bar.time), time), startedAt: position });
    else if (kind === words.ENDED && isOpen) Object.assign(bar, { end: time, endAt: position, outcome: this.outcomes[value] });
    else if (kind === words.RETRY && bar) bar.due = value;
    else if (kind === words.PHASE && OVER.has(this.stepPhases[value])) this.endOf.set(node, time);
  }

  begin(node, kind, attempt, position, time) {
    const before = this.barsOf.get(node)?.at(-1);
    const again = before && before.run === this.run;
    const bar = {
      node, kind, attempt, run: this.run, at: position, time, started: null, startedAt: 0, end: null, endAt: 0,
      outcome: null, due: null, since: Math.min(again ? before.end ?? time : this.readyAt(node), time),
    };
    this.bars.push(bar);
    if (this.barsOf.has(node)) this.barsOf.get(node).push(bar);
    else this.barsOf.set(node, [bar]);
    return bar;
  }

  /** When a node could begin: its needs were over, or its fan-out had begun. */
  readyAt(node) {
    if (node >= this.steps.length) return this.barsOf.get(this.fanOut(node)[0])?.at(-1).time ?? this.runStart;
    const ends = (this.steps[node].needs ?? []).map((need) => this.endOf.get(need) ?? 0);
    return Math.max(this.steps[node].finally ? this.finalStart : this.runStart, ...ends);
  }
}
