import { writeFileSync } from "node:fs";
import type { Snapshot } from "../../core/snapshot.js";

/** What Kubernetes keeps of a termination message. */
const limitBytes = 4096;

/** The last words as one line of JSON: what ended the container, and how its services ended. Cut service by service, never in the middle. */
export function terminationMessage(snapshot: Snapshot): string {
  const { phase, exitCode, shutdown, services, startedAt } = snapshot;
  const seconds = (from: number, to: number): number => Math.round((to - from) / 100) / 10;
  const ended = Math.max(
    shutdown?.requestedAt ?? startedAt,
    ...services.flatMap(({ instances }) => instances.map(({ lastExit }) => lastExit?.at ?? 0)),
  );
  const all = services.map(({ name, state, instances }) => {
    const last = instances.find(({ lastExit }) => lastExit !== undefined)?.lastExit;
    return {
      name,
      state,
      ...(last === undefined ? {} : { exitCode: last.code }),
      ...(last?.signal === undefined ? {} : { signal: last.signal }),
    };
  });
  // what failed or was killed is what people look for
  const rank = (service: (typeof all)[number]): number =>
    service.state === "Failed" ? 0 : (service.exitCode ?? 0) !== 0 ? 1 : 2;
  const sorted = [...all].sort((a, b) => rank(a) - rank(b));
  for (let kept = sorted.length; ; kept--) {
    const text = JSON.stringify({
      phase,
      exitCode,
      cause: (shutdown?.cause ?? "").slice(0, 1000),
      killed: (shutdown?.killed ?? []).slice(0, 50),
      seconds: shutdown === undefined ? 0 : seconds(shutdown.requestedAt, ended),
      services: sorted.slice(0, kept),
      ...(kept < sorted.length ? { more: sorted.length - kept } : {}),
    });
    if (Buffer.byteLength(text) <= limitBytes || kept === 0) return text;
  }
}

/** Plain text that fits: whole lines, as many as there is room for. */
export function cutText(text: string): string {
  if (Buffer.byteLength(text) <= limitBytes) return text;
  const more = "...\n";
  let kept = "";
  for (const line of text.split(/(?<=\n)/)) {
    if (Buffer.byteLength(kept + line + more) > limitBytes) break;
    kept += line;
  }
  return kept + more;
}

/** Leaves the last words where the kubelet looks for them. A file that cannot be written is no reason not to end. */
export function writeTermination(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {}
}
