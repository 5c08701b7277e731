import { resolve } from "node:path";
import { type ControlClient, controlClient } from "../adapters/control-client/control-client.js";
import { controlPath } from "../adapters/control-client/control-path.js";
import { EntryError } from "../core/entry-error.js";
import type { UpgradeOrder, UpgradeOutcome, UpgradeProgress } from "../core/upgrade-outcome.js";
import { askedAgain, outcomeWords, progressWords, type UpgradeWords, upgradeExit } from "../core/upgrade-words.js";
import { readArguments } from "./arguments.js";
import type { Command, Io } from "./command.js";
import { interrupted } from "./interrupted.js";

const usage = `usage: pingora-entry upgrade [--path DIR] [--conf FILE]... [--wait] [--json]

Replaces the running generation (supervisor and services) by a new one, in this
container, with nobody refused: the new one gets the listening sockets, starts
its services, and only when all required ones are ready takes over. If anything
goes wrong before, the old one serves on.

      --path DIR      another release of pingora-entry; default: the running one
  -c, --conf FILE     another configuration (repeatable); default: the files
                      that the running one was started with, read anew
      --wait          wait while another upgrade, or an old generation that
                      still drains, is in the way
      --json          JSON lines: progress, and last the outcome
      --socket PATH   control socket (default: PINGORA_ENTRY_ADMIN_SOCKET, else
                      /run/pingora-entry/control.sock)

Exit code: 0 replaced; 1 rolled back, with the reason; 75 busy, try later;
64 wrong usage; 69 no instance answers.
`;

export const upgradeCommand: Command = {
  name: "upgrade",
  summary: "replace the running generation with nobody refused",
  usage,
  async run(args, io) {
    const { values, words } = readArguments("upgrade", args, {
      path: { type: "string" },
      conf: { type: "string", short: "c", multiple: true },
      wait: { type: "boolean" },
      json: { type: "boolean" },
      socket: { type: "string" },
      asked: { type: "string" },
    });
    if (words[0] !== undefined)
      throw new EntryError(
        "usage",
        `cannot use "${words[0]}": upgrade takes options only; see pingora-entry help upgrade`,
      );
    const order = {
      conf: (values.conf ?? []).map((file) => absolute("--conf", file)),
      wait: values.wait === true,
      ...(values.path === undefined ? {} : { path: absolute("--path", values.path) }),
    };
    const client = controlClient(controlPath(values.socket, io.env));
    const show = values.json === true ? jsonLines(io) : textLines(io);
    const before = readAsked(values.asked);
    const began = before?.began ?? Date.now();
    let asked: Asked = before ?? (await ask(client, order, show, io));
    // the generation that it waited for is gone, and nothing was tried: whoever answers there now is asked, and waited for
    while (order.wait && !io.signal.aborted && untried(asked)) {
      const why = asked.outcome?.reason ?? "who was asked is gone";
      show.progress(askedAgain(asked.outcome?.attempt ?? "", Date.now(), why));
      await pause();
      asked = await ask(client, order, show, io);
    }
    const { attempt, outcome } = asked;
    if (outcome !== undefined) return ended(outcome, show);
    if (io.signal.aborted) {
      if (attempt !== undefined) io.err("pingora-entry: the upgrade goes on; pingora-entry status tells how it ends\n");
      return interrupted;
    }
    return ended(await findOutcome(client, { attempt, began }, io), show);
  },
};

/** @throws EntryError usage: no path, or one that is relative to a directory that is gone */
function absolute(option: string, path: string): string {
  if (path === "") throw new EntryError("usage", `option "${option}" needs a value that is not empty`);
  try {
    return resolve(path);
  } catch {
    throw new EntryError(
      "usage",
      `cannot use "${path}" for ${option}: the working directory is gone; give an absolute path`,
    );
  }
}

/** What one supervisor had to say of an order. */
interface Asked {
  /** one that has begun: to wait is none */
  readonly attempt?: string | undefined;
  /** undefined: the connection broke */
  readonly outcome?: UpgradeOutcome;
}

/** `--asked=BEGAN:ATTEMPT`: the native command (upgrade.c) has sent the order, and the connection broke. */
function readAsked(text = ""): (Asked & { readonly began: number }) | undefined {
  const [, began, attempt] = /^(\d+):(.*)$/.exec(text) ?? [];
  return began === undefined ? undefined : { began: Number(began), attempt: attempt === "" ? undefined : attempt };
}

async function ask(client: ControlClient, order: UpgradeOrder, show: Show, io: Io): Promise<Asked> {
  let attempt: string | undefined;
  try {
    for await (const line of client.upgrade(order, io.signal)) {
      if (line.kind === "error") throw new EntryError(line.reason, line.error);
      if (line.kind === "outcome") return { attempt, outcome: line };
      // one that was refused is tried again under another name
      attempt = line.step === "wait" ? undefined : line.attempt;
      show.progress(line);
    }
  } catch (error) {
    if (!io.signal.aborted) throw error;
  }
  return { attempt };
}

/** Also of a supervisor that died, or of an older release, which ended without a word to who waited. */
function untried({ attempt, outcome }: Asked): boolean {
  return outcome === undefined ? attempt === undefined : outcome.result === "busy";
}

function pause(): Promise<void> {
  return new Promise((wake) => setTimeout(wake, 200));
}

interface Show {
  progress(progress: UpgradeProgress): void;
  outcome(outcome: UpgradeOutcome): void;
}

function ended(outcome: UpgradeOutcome, show: Show): number {
  show.outcome(outcome);
  return upgradeExit[outcome.result];
}

/** The supervisor that reported was replaced or died; who serves now knows how it ended. */
async function findOutcome(
  client: ControlClient,
  order: { readonly attempt: string | undefined; readonly began: number },
  io: Io,
): Promise<UpgradeOutcome> {
  // who had not come to give it a name may not have come to write it down
  const patienceMs = order.attempt === undefined ? 15_000 : 90_000;
  for (const from = performance.now(); performance.now() - from < patienceMs && !io.signal.aborted; ) {
    const status = await client.status(io.signal, 2_000).catch(() => undefined);
    const last = status?.lastUpgrade;
    if (last !== undefined && (order.attempt === undefined ? last.at >= order.began : last.attempt === order.attempt))
      return last;
    await pause();
  }
  throw new EntryError(
    "failed",
    "cannot tell how the upgrade ended: the connection broke, and nobody knows of it; see pingora-entry status",
  );
}

function jsonLines(io: Io): Show {
  const say = (kind: string, fields: object): void => io.out(`${JSON.stringify({ kind, ...fields })}\n`);
  return { progress: ({ ...fields }) => say("progress", fields), outcome: ({ ...fields }) => say("outcome", fields) };
}

function textLines(io: Io): Show {
  const say = ({ out, err }: UpgradeWords): void => {
    if (err !== "") io.err(err);
    if (out !== "") io.out(out);
  };
  return {
    progress: (progress) => say(progressWords(progress, io.colour)),
    outcome: (outcome) => say(outcomeWords(outcome, io.colour)),
  };
}
