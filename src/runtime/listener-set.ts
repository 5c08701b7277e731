import { EntryError } from "../core/entry-error.js";
import type { ListenerSpec, Plan } from "../core/plan.js";
import type { ListenerView } from "../core/snapshot.js";
import type { BoundListener, Init, Log, Sockets } from "./ports.js";

/** Told what becomes of single listeners while others are still tried. */
export interface ListenerWatch {
  opened(name: string, listener: BoundListener): void;
  /** its address is in use: it is tried again */
  waits(name: string, problem: string): void;
}

export const heldName = (name: string): string => `listener:${name}`;

/**
 * Binds every listener, or takes up what an earlier supervisor bound or another generation handed over, and gives the init a duplicate
 * of each.
 * @throws EntryError os with one problem per listener that could not be had; those that were bound are closed again
 */
export async function openListeners(
  specs: readonly ListenerSpec[],
  parts: { readonly init: Init; readonly sockets: Sockets; readonly log: Log },
  signal: AbortSignal,
  inherited: ReadonlyMap<string, number> = new Map(),
  watch: ListenerWatch = { opened() {}, waits() {} },
): Promise<Map<string, BoundListener>> {
  const { init, sockets, log } = parts;
  // the first that cannot be had decides: nobody is to wait for the others' further tries
  const decided = new AbortController();
  const either = AbortSignal.any([signal, decided.signal]);
  // one after the other, for the channel takes no more than a thousand at once; what refuses one would refuse those behind it
  let held: Promise<void> = Promise.resolve();
  const hold = (name: string, fd: number): Promise<void> => {
    held = held.then(() => init.hold(heldName(name), fd));
    return held;
  };
  const bind = (spec: ListenerSpec) => sockets.bind(spec, either, (problem) => watch.waits(spec.name, problem));
  const closeAgain = (name: string, listener: BoundListener): void => {
    // what was inherited is the other generation's, path and all
    if (!inherited.has(name)) sockets.remove(listener);
    sockets.close(listener);
  };
  const open = async (spec: ListenerSpec): Promise<BoundListener> => {
    const fd = init.recovered.held.get(heldName(spec.name));
    if (fd !== undefined) return sockets.adopt(spec, fd);
    const taken = inherited.get(spec.name);
    const bound = taken === undefined ? await bind(spec) : sockets.adopt(spec, taken);
    try {
      await hold(spec.name, bound.fd);
    } catch (error) {
      closeAgain(spec.name, bound);
      throw error;
    }
    return bound;
  };
  const results = await Promise.allSettled(
    specs.map((spec) =>
      open(spec).then(
        (listener) => {
          watch.opened(spec.name, listener);
          return listener;
        },
        (error: unknown) => {
          decided.abort();
          throw error;
        },
      ),
    ),
  );
  const bound = new Map<string, BoundListener>();
  const refused: unknown[] = [];
  for (const [i, result] of results.entries()) {
    const name = specs[i]?.name ?? "";
    if (result.status === "fulfilled") bound.set(name, result.value);
    else refused.push(result.reason);
  }
  if (refused.length === 0) {
    for (const each of bound.values())
      log.info(`listening on ${addressText(each.spec, each)}`, { listener: each.spec.name });
    return bound;
  }
  for (const [name, listener] of bound) {
    init.release(heldName(name));
    closeAgain(name, listener);
  }
  const problems = [...new Set(refused)].flatMap((error) => {
    if (!(error instanceof EntryError)) throw error;
    return error.problems.length > 0 ? error.problems : [{ message: error.message }];
  });
  throw new EntryError("os", "cannot open the listeners", { problems });
}

const namedWaits = 3;

/** What listeners wait for, by name, in a text for a terminal: a few of them, and how many more there are. "": none waits. */
export function waitsText(waits: ReadonlyMap<string, string>): string {
  const named = [...waits].slice(0, namedWaits).map(([name, problem]) => `listener "${name}": ${problem}`);
  const more = waits.size - named.length;
  return [...named, ...(more === 0 ? [] : [`and ${more} more`])].join("; ");
}

/** The configured listeners as operators see them; those of the endpoints are not among them. */
export function listenerViews(
  plan: Plan,
  bound: ReadonlyMap<string, BoundListener>,
  waits: ReadonlyMap<string, string> = new Map(),
): ListenerView[] {
  return plan.listeners.map((spec) => {
    const problem = waits.get(spec.name);
    return {
      name: spec.name,
      address: addressText(spec, bound.get(spec.name)),
      services: plan.services.filter(({ listeners }) => listeners.includes(spec.name)).map(({ name }) => name),
      ...(problem === undefined ? {} : { waits: problem }),
    };
  });
}

function addressText({ address }: ListenerSpec, bound: BoundListener | undefined): string {
  if (address.kind === "unix") return `unix ${bound?.path ?? address.path}`;
  const host = bound?.host ?? address.host;
  return `${address.kind} ${host.includes(":") ? `[${host}]` : host}:${bound?.port ?? address.port}`;
}
