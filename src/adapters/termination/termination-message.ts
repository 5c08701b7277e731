import { closeSync, constants, openSync, writeSync } from "node:fs";
import type { ServiceView, Snapshot } from "../../core/snapshot.js";
import { drainTotals } from "../../core/views.js";

/** What Kubernetes keeps of a termination message. */
const limitBytes = 4096;
/** what one text may take of it */
const longestText = 1024;

interface ServiceEnd {
  readonly name: string;
  readonly state: ServiceView["state"];
  readonly exitCode?: number;
  readonly signal?: string;
  readonly reason?: string;
}

/**
 * The last words as one line of JSON of at most 4096 bytes: what ended the container, and how its services ended, those first that people
 * look for. What does not fit is left out service by service and counted in `more`.
 */
export function terminationMessage(snapshot: Snapshot): string {
  const { phase, exitCode, shutdown, services, startedAt, release, drains = [] } = snapshot;
  const exits = services.flatMap(({ instances }) => instances.map(({ lastExit }) => lastExit?.at ?? 0));
  const requestedAt = shutdown?.requestedAt ?? startedAt;
  const head = {
    phase,
    exitCode,
    cause: cut(shutdown?.cause ?? "", longestText),
    seconds: Math.round((Math.max(requestedAt, ...exits) - requestedAt) / 100) / 10,
    ...(release === "" ? {} : { release: cut(release, 128) }),
    ...(drains.length === 0 ? {} : drainTotals(drains, requestedAt)),
    killed: (shutdown?.killed ?? []).slice(0, 20).map((name) => cut(name, 64)),
  };
  return fitting(
    head,
    "services",
    services.map(serviceEnd).sort((a, b) => rank(a) - rank(b)),
  );
}

/** A refusal as one line of JSON: the first line of its text, and the problems that follow. */
export function refusalMessage(text: string): string {
  const [error = "", ...problems] = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const cuts = problems.map((problem) => cut(problem, longestText));
  return fitting({ error: cut(error, longestText) }, "problems", cuts);
}

/** Leaves the last words where the kubelet looks for them. A file that cannot be written is no reason not to end. */
export function writeTermination(path: string, text: string): void {
  try {
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK, O_NOCTTY } = constants;
    const fd = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY, 0o644);
    try {
      writeSync(fd, text);
    } finally {
      closeSync(fd);
    }
  } catch {}
}

function serviceEnd({ name, state, reason, output, instances }: ServiceView): ServiceEnd {
  const words = [reason, output ?? ""].filter((each) => each !== "").join(": ");
  const exits = instances.flatMap(({ lastExit }) => (lastExit === undefined ? [] : [lastExit]));
  const worst = exits.find(({ code }) => code !== 0) ?? exits[0];
  const failed = state === "Failed" || (worst?.code ?? 0) !== 0;
  return {
    name: cut(name, 64),
    state,
    ...(worst === undefined ? {} : { exitCode: worst.code }),
    ...(worst?.signal === undefined ? {} : { signal: worst.signal }),
    ...(failed && words !== "" ? { reason: cut(words, 200) } : {}),
  };
}

function rank({ state, exitCode = 0 }: ServiceEnd): number {
  return state === "Failed" ? 0 : exitCode !== 0 ? 1 : 2;
}

function fitting(head: object, name: string, items: readonly unknown[]): string {
  for (let kept = items.length; ; kept--) {
    const more = kept < items.length ? { more: items.length - kept } : {};
    const text = JSON.stringify({ ...head, [name]: items.slice(0, kept), ...more });
    if (Buffer.byteLength(text) <= limitBytes || kept === 0) return text;
  }
}

/** At most so many bytes of JSON, in whole characters. */
function cut(text: string, bytes: number): string {
  const size = (part: string): number => Buffer.byteLength(JSON.stringify(part)) - 2;
  if (size(text) <= bytes) return text;
  let kept = "";
  let left = bytes - size("…");
  for (const character of text) {
    left -= size(character);
    if (left < 0) break;
    kept += character;
  }
  return `${kept}…`;
}
