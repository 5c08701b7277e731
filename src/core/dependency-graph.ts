/** What each node needs, by name. Names that are no key are not part of the graph and are passed over. */
export type Edges = ReadonlyMap<string, readonly string[]>;

export interface StartOrder {
  /** every node in exactly one wave, the one after the last of its needs; within a wave in the order of the map. Nodes of a cycle stand in one wave */
  readonly waves: readonly (readonly string[])[];
  /** none: the waves are an order. One for each set of nodes that all need each other; each node needs the next, the first is repeated: [a, b, a] */
  readonly cycles: readonly (readonly string[])[];
}

/** Layers by the longest path. Linear in nodes and edges, without recursion: a chain of any length is fine. */
export function startWaves(edges: Edges): StartOrder {
  const depth = new Map<string, number>();
  const cycles: string[][] = [];
  for (const component of components(edges)) {
    const members = new Set(component);
    const [first = ""] = component;
    let wave = 0;
    let cyclic = false;
    for (const need of component.flatMap((node) => edges.get(node) ?? [])) {
      if (members.has(need)) cyclic = true;
      else wave = Math.max(wave, (depth.get(need) ?? -1) + 1);
    }
    for (const node of component) depth.set(node, wave);
    if (cyclic) cycles.push(cycleThrough(first, members, edges));
  }
  return { waves: layers(edges, depth), cycles };
}

/** Tarjan's strongly connected components, those that others need before them; the first of each is the one that was met first. */
function components(edges: Edges): string[][] {
  const found: string[][] = [];
  const number = new Map<string, number>();
  /** met, and of no component yet, in the order in which they were met */
  const open: string[] = [];
  const isOpen = new Set<string>();
  for (const root of edges.keys()) {
    if (number.has(root)) continue;
    const stack: Frame[] = [];
    const enter = (node: string): void => {
      number.set(node, number.size);
      stack.push({ node, needs: edges.get(node) ?? [], visited: 0, low: number.size - 1 });
      open.push(node);
      isOpen.add(node);
    };
    enter(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const need = top.needs[top.visited++];
      if (need === undefined) {
        stack.pop();
        const parent = stack.at(-1);
        if (parent !== undefined) parent.low = Math.min(parent.low, top.low);
        if (top.low !== number.get(top.node)) continue;
        const component = open.splice(open.lastIndexOf(top.node));
        for (const node of component) isOpen.delete(node);
        found.push(component);
      } else if (isOpen.has(need)) top.low = Math.min(top.low, number.get(need) ?? 0);
      else if (edges.has(need) && !number.has(need)) enter(need);
    }
  }
  return found;
}

interface Frame {
  readonly node: string;
  readonly needs: readonly string[];
  visited: number;
  /** the least number of an open node that can be reached */
  low: number;
}

/** A shortest way from `first` to itself within its component. */
function cycleThrough(first: string, members: ReadonlySet<string>, edges: Edges): string[] {
  const cameFrom = new Map<string, string>();
  const queue = [first];
  for (const node of queue) {
    for (const need of edges.get(node) ?? []) {
      if (!members.has(need) || cameFrom.has(need)) continue;
      cameFrom.set(need, node);
      queue.push(need);
    }
  }
  const back = [first];
  do back.push(cameFrom.get(back.at(-1) ?? first) ?? first);
  while (back.at(-1) !== first);
  return back.reverse();
}

/** Every node that `start` needs, directly or through others, in no order; `start` itself only when it is in a cycle. */
export function reachable(edges: Edges, start: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = [...(edges.get(start) ?? [])];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    open.push(...(edges.get(node) ?? []));
  }
  return seen;
}

function layers(edges: Edges, depth: ReadonlyMap<string, number>): string[][] {
  const waves: string[][] = [];
  for (const node of edges.keys()) {
    const wave = depth.get(node) ?? 0;
    const names = waves[wave];
    if (names === undefined) waves[wave] = [node];
    else names.push(node);
  }
  return waves;
}
