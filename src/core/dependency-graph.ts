/** What each node needs, by name. Names that are no key are not part of the graph and are passed over. */
export type Edges = ReadonlyMap<string, readonly string[]>;

export type StartOrder =
  /** every node in exactly one wave, the one after the last of its needs; within a wave in the order of the map */
  | { readonly ok: true; readonly waves: readonly (readonly string[])[] }
  /** each needs the next; the first is repeated at the end: [a, b, a] */
  | { readonly ok: false; readonly cycle: readonly string[] };

/** Layers by the longest path. Linear in nodes and edges, without recursion: a chain of any length is fine. */
export function startWaves(edges: Edges): StartOrder {
  const depth = new Map<string, number>();
  const onPath = new Set<string>();
  for (const root of edges.keys()) {
    if (depth.has(root)) continue;
    const stack = [frame(root, edges)];
    onPath.add(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const need = top.needs[top.visited++];
      if (need === undefined) {
        depth.set(top.node, top.depth);
        onPath.delete(top.node);
        stack.pop();
        const parent = stack.at(-1);
        if (parent !== undefined) parent.depth = Math.max(parent.depth, top.depth + 1);
        continue;
      }
      const known = depth.get(need);
      if (known !== undefined) {
        top.depth = Math.max(top.depth, known + 1);
      } else if (onPath.has(need)) {
        const path = stack.map(({ node }) => node);
        return { ok: false, cycle: [...path.slice(path.indexOf(need)), need] };
      } else if (edges.has(need)) {
        onPath.add(need);
        stack.push(frame(need, edges));
      }
    }
  }
  return { ok: true, waves: layers(edges, depth) };
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

interface Frame {
  readonly node: string;
  readonly needs: readonly string[];
  visited: number;
  depth: number;
}

function frame(node: string, edges: Edges): Frame {
  return { node, needs: edges.get(node) ?? [], visited: 0, depth: 0 };
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
