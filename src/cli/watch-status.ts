import type { ControlClient, StatusEvent } from "../adapters/control-client/control-client.js";
import { EntryError } from "../core/entry-error.js";
import type { Snapshot } from "../core/snapshot.js";
import type { Io } from "./command.js";
import { serviceChanges, transitionText, upgradeChanges } from "./status-changes.js";
import { statusLines } from "./status-text.js";

/** A supervisor that died is back within this time; services, phase and deadlines have gone on meanwhile. */
export const reconnectMs = 5_000;
export const retryMs = 100;

interface View {
  show(event: StatusEvent): void;
  close(): void;
}

/** Shows every change until the instance ends, or the user has seen enough: both exit 0. An upgrade is not its end: the next generation is shown. */
export async function watchStatus(client: ControlClient, json: boolean, io: Io): Promise<number> {
  const view = json ? jsonView(io) : io.colour ? screenView(io) : lineView(io);
  let last: Snapshot | undefined;
  try {
    for (let lostAt = Number.NaN; ; ) {
      try {
        for await (const event of client.events(io.signal)) {
          lostAt = Number.NaN;
          if (event.kind === "snapshot") last = event.snapshot;
          view.show(event);
        }
      } catch (error) {
        if (io.signal.aborted) return 0;
        // nobody there from the beginning, or no more
        if (!(error instanceof EntryError && error.reason === "unavailable") || last === undefined) throw error;
        const waited = performance.now() - lostAt > reconnectMs;
        // the next generation has another control socket
        if (waited && isReplaced(last)) return 0;
        if (waited) throw error;
      }
      const ended = last?.phase === "Terminated" || last?.phase === "ShutdownRuntimes";
      if (io.signal.aborted || (ended && !isReplaced(last))) return 0;
      if (Number.isNaN(lostAt)) lostAt = performance.now();
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  } finally {
    view.close();
  }
}

function isReplaced(snapshot: Snapshot | undefined): boolean {
  const { generation = 0, lastUpgrade } = snapshot ?? {};
  return lastUpgrade?.result === "completed" && lastUpgrade.generation > generation;
}

function jsonView(io: Io): View {
  return {
    show: (event) => {
      if (event.kind === "snapshot") io.out(`${JSON.stringify(event.snapshot)}\n`);
    },
    close() {},
  };
}

function lineView(io: Io): View {
  let before: Snapshot | undefined;
  const say = (text: string): void => io.out(`${new Date().toISOString()} ${text}\n`);
  return {
    show(event) {
      if (event.kind === "transition") say(transitionText(event.transition));
      else {
        const { snapshot } = event;
        const known = before?.generation === snapshot.generation ? before : undefined;
        if (before !== undefined && known === undefined) say(`generation ${snapshot.generation} serves`);
        if (known === undefined) say(`phase ${snapshot.phase}`);
        for (const change of [...upgradeChanges(known, snapshot), ...serviceChanges(known, snapshot)]) say(change);
        before = snapshot;
      }
    },
    close() {},
  };
}

/** The other screen of the terminal, so that nothing is left of it but the last state. */
function screenView(io: Io): View {
  let snapshot: Snapshot | undefined;
  const lines = (): string[] =>
    snapshot === undefined ? [] : statusLines(snapshot, { now: Date.now(), colours: true, width: io.width });
  const draw = (): void => io.out(`\x1b[H${fit(lines(), io.height ?? 24).join("\x1b[K\n")}\x1b[K\x1b[J`);
  // durations and countdowns go on when nothing happens
  const ticker = setInterval(draw, 500);
  io.out("\x1b[?1049h\x1b[?25l");
  return {
    show(event) {
      if (event.kind !== "snapshot") return;
      snapshot = event.snapshot;
      draw();
    },
    close() {
      clearInterval(ticker);
      io.out("\x1b[?25h\x1b[?1049l");
      if (snapshot !== undefined) io.out(`${lines().join("\n")}\n`);
    },
  };
}

/** A screen that is too small must not scroll: what is drawn next would land beside it. */
function fit(lines: readonly string[], height: number): readonly string[] {
  if (lines.length <= height) return lines;
  return [...lines.slice(0, height - 1), `... and ${lines.length - height + 1} more lines`];
}
