/*
 * One generation as a process of its own, without services: an owner or a candidate that does what the parent says over IPC.
 *
 *   argv[2]   JSON of PeerOptions
 *   out       { at: "asked" } ... each step that was reached, then { end: ... }
 *   in        "go": on to the next step, when the step is in `hold`
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { systemClock } from "../../../src/adapters/clock/clock.js";
import { openHandover } from "../../../src/adapters/handover/handover.js";
import { native } from "../../../src/adapters/native/addon.js";
import { addressesOf } from "../../../src/adapters/sockets/addresses-of.js";
import type { VersionRange } from "../../../src/core/handover-frame.js";
import type { HandoverTimes } from "../../../src/core/handover-times.js";
import type { ListenerSpec } from "../../../src/core/plan.js";
import { matchSockets } from "../../../src/core/socket-manifest.js";
import type { Handover, InheritedSocket, OldSession, Owner, OwnSocket } from "../../../src/runtime/handover-ports.js";

export interface PeerOptions {
  /** clog: has descriptors in flight that nobody takes */
  readonly role: "old" | "new" | "clog";
  readonly name: string;
  readonly directory: string;
  readonly listeners?: number;
  readonly attempt?: string;
  readonly hold?: readonly string[];
  readonly times?: Partial<HandoverTimes>;
  readonly versions?: VersionRange;
  readonly allowedUids?: readonly number[];
  readonly blobs?: number;
  readonly probationMs?: number;
  /** names that NEW does not take */
  readonly leave?: readonly string[];
  /** owner: accepts connections and answers with its name */
  readonly serve?: boolean;
  /** NEW gives up at this step */
  readonly abortAt?: string;
  /** a file of ListenerSpec[]: OLD writes it, NEW finds those among what is offered, and tells nothing between OFFER and CLAIM */
  readonly wants?: string;
}

export interface PeerMessage {
  readonly at: string;
  readonly [field: string]: unknown;
}

const options = JSON.parse(process.argv[2] ?? "{}") as PeerOptions;
const addon = native();
const me = {
  nonce: options.name,
  generation: 1,
  release: options.name,
  build: "test",
  slot: "",
  since: Date.now(),
};
let proceed: (() => void) | undefined;
let allowed = 0;
const held = new Set(options.hold);
process.on("message", () => {
  if (proceed) proceed();
  else allowed++;
});
process.on("disconnect", () => process.exit(0));

function tell(at: string, fields: Record<string, unknown> = {}): void {
  process.send?.({ at, ...fields, fds: readdirSync("/proc/self/fd").length, rss: process.memoryUsage().rss });
}

/** Tells the step, and waits for the parent when it is one of those to be held at. */
async function reach(step: string, fields: Record<string, unknown> = {}): Promise<void> {
  tell(step, fields);
  // once: a later candidate must not wait for ever
  if (!held.delete(step)) return;
  if (allowed > 0) {
    allowed--;
    return;
  }
  await new Promise<void>((resolve) => {
    proceed = resolve;
  });
  proceed = undefined;
}

function listeners(count: number): OwnSocket[] {
  const sockets = bound(count);
  if (options.wants !== undefined) writeFileSync(options.wants, JSON.stringify(sockets.map(specOf)));
  return sockets;
}

function specOf({ name, key, backlog, reusePort, address }: OwnSocket): ListenerSpec {
  const [host = "", port] = address.split(":");
  const at = { kind: "tcp", host, port: Number(port), ipv6Only: false } as const;
  return { name, key, backlog, reusePort, passAs: "systemd", envName: "", address: at };
}

function bound(count: number): OwnSocket[] {
  return Array.from({ length: count }, (_, i) => {
    const fd = addon.socket(addon.constants.AF_INET, addon.constants.SOCK_STREAM);
    addon.bindInet(fd, "127.0.0.1", 0, 0);
    addon.listen(fd, 64);
    const local = addon.getLocalAddress(fd);
    const address = local.family === "inet" ? `${local.host}:${local.port}` : "";
    return { name: `l${i}`, key: address, family: "inet", type: "stream", address, backlog: 64, reusePort: false, fd };
  });
}

const handover: Handover = openHandover({
  directory: options.directory,
  clock: systemClock,
  ...(options.times === undefined ? {} : { times: options.times }),
  ...(options.versions === undefined ? {} : { versions: options.versions }),
  ...(options.allowedUids === undefined ? {} : { allowedUids: options.allowedUids }),
});

async function own(sockets: OwnSocket[], lockFd?: number): Promise<void> {
  const opened = await handover.openOwner({
    me,
    ...(lockFd === undefined ? {} : { lockFd }),
    candidate: (session) => void lease(session, opened.kind === "owner" ? opened.owner : undefined, sockets),
  });
  if (opened.kind === "held") return tell("held");
  const address = sockets[0]?.address;
  await reach("owner", { address, journal: handover.journal()?.owner.nonce });
}

async function lease(session: OldSession, owner: Owner | undefined, sockets: OwnSocket[]): Promise<void> {
  void session.ended.then((end) => tell("ended", { end, owner: handover.journal()?.owner.nonce }));
  if (owner === undefined) return session.busy("not yet", 10);
  await reach("asked", { peer: session.peer });
  if (!session.grant(sockets).ok) return;
  await reach("granted");
  const blobs = Array.from({ length: options.blobs ?? 0 }, (_, i) => ({
    name: `blob${i}`,
    schema: "text/1",
    critical: false,
    text: "é".repeat(1000 * i),
  }));
  const from = performance.now();
  const offered = session.offer(blobs);
  if (options.wants === undefined) tell("sent");
  const claimed = await offered;
  if (!claimed.ok) return;
  await reach("claimed", { report: claimed.value, ms: performance.now() - from });
  if (!(await session.ready()).ok) return;
  await reach("ready");
  if (!(await session.commit(owner.lockFd)).ok) return;
  await reach("probation");
  const over = await Promise.race([
    session.ended,
    systemClock.until(systemClock.now() + (options.probationMs ?? 50)).then(() => undefined),
  ]);
  if (over?.kind === "superseded") return drain(session, owner, sockets);
  if (over !== undefined) return;
  await reach("finalizing");
  const finalized = await session.finalize();
  if (!finalized.ok && finalized.end.kind !== "superseded") return;
  await drain(session, owner, sockets);
}

async function drain(session: OldSession, owner: Owner, sockets: OwnSocket[]): Promise<void> {
  owner.close();
  for (const { fd } of sockets) addon.close(fd);
  await reach("draining");
  session.progress({ drained: 1, cut: 0, killed: 0, open: 1, seconds: 0.5 });
  session.drained({ drained: 2, cut: 0, killed: 0, open: 0, seconds: 1 });
}

async function take(): Promise<void> {
  const wants =
    options.wants === undefined ? undefined : (JSON.parse(readFileSync(options.wants, "utf8")) as ListenerSpec[]);
  const dialled = await handover.dialOwner({ me, attempt: options.attempt ?? "attempt" });
  if (dialled.kind !== "session") return tell(dialled.kind, { dialled });
  const { session } = dialled;
  void session.ended.then((end) => tell("ended", { end, owner: handover.journal()?.owner.nonce }));
  if (wants === undefined) await reach("offered", { count: session.sockets.length });
  const kept = wants === undefined ? notLeft(session.sockets) : matched(wants, session.sockets);
  const claimed = await session.claim(new Set(kept.map(({ name }) => name)), ["wanted"]);
  if (!claimed.ok) return;
  await reach("preparing", { blobs: claimed.value.map(({ text }) => text.length) });
  const ready = await session.ready();
  if (!ready.ok) return;
  const { how, lockFd } = ready.value;
  await reach("committed", { how });
  if (how === "committed") {
    session.owned();
    await reach("owned");
    if (options.abortAt === "owned") session.abort("not wanted by the test", "unready");
    const probation = await session.probation();
    if (!probation.ok) {
      addon.close(lockFd);
      return;
    }
    tell("finalized", { by: probation.value });
  }
  session.onProgress((report, drained) => tell(drained ? "drained" : "progress", { report }));
  await own(kept, lockFd);
}

function notLeft(sockets: readonly InheritedSocket[]): InheritedSocket[] {
  const leave = new Set(options.leave ?? []);
  return sockets.filter(({ name }) => !leave.has(name));
}

function matched(wants: readonly ListenerSpec[], sockets: readonly InheritedSocket[]): InheritedSocket[] {
  return [...matchSockets(wants, sockets, addressesOf, (path) => path).taken.values()];
}

function clog(): void {
  const pairs = Array.from({ length: 4 }, () => addon.socketpair(addon.constants.SOCK_STREAM));
  for (const [end] of pairs) addon.sendmsg(end, Buffer.from("x"), new Array(253).fill(end));
  tell("clogged");
}

if (!existsSync(options.directory)) throw new Error(`${options.directory} is missing`);
if (options.role === "clog") clog();
else void (options.role === "old" ? own(listeners(options.listeners ?? 1)) : take());
