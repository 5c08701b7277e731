import { EntryError } from "../../core/entry-error.js";
import { signalNumber } from "../../core/signals.js";
import type {
  Init,
  InitEvent,
  Recovered,
  ReplaceResult,
  SignalScope,
  SpawnResult,
  SpawnSpec,
  SuccessorResult,
} from "../../runtime/ports.js";
import type { Channel, ReceivedFrame } from "./channel.js";
import { directBytes, elsewhere, encodeFrame, FrameError, maxFrameFds } from "./frame.js";
import type { Greeting } from "./handshake.js";
import { openFiles } from "./hard-limits.js";
import { InitAlarm } from "./init-alarm.js";
import { Leftovers } from "./leftovers.js";
import { Pending } from "./pending.js";
import { type Reply, readReply } from "./reply.js";
import { isShortage } from "./send-queue.js";
import { spawnRequest } from "./spawn-request.js";

/** A stuck init must not keep a finished supervisor: by then it decides alone anyway. */
const exitPatienceMs = 1000;
/** The same refusal is told this often. */
const complaintMs = 10_000;

function lostChannel(): EntryError {
  return new EntryError("os", "cannot reach the init: its end of the channel is closed, it has ended");
}

/** What the init says when it has lost the descriptors of a SPAWN. */
const noDescriptors = { ok: false, stage: "fd", errno: "EMFILE" } as const;

/** A frame with arguments and environment, or what execve itself would say: a NUL ends an argument, and there is a limit to all of them. */
function execFrame(verb: string, fields: readonly string[]): Buffer | { ok: false; stage: string; errno: string } {
  try {
    return encodeFrame(verb, fields);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return { ok: false, stage: "exec", errno: fields.some((field) => field.includes("\0")) ? "EINVAL" : "E2BIG" };
  }
}

/** The init as the runtime knows it, over an open channel whose handshake is done. */
export class InitClient implements Init {
  readonly pid: number;
  readonly isPid1: boolean;
  readonly line: number;
  readonly recovered: Recovered;
  readonly #channel: Channel;
  readonly #spawns = new Pending<string, SpawnResult>();
  readonly #signals = new Pending<number, number>();
  readonly #holds = new Pending<string, void>();
  #receive: ((event: InitEvent) => void) | undefined;
  /** what came before listen, in order; `sequence` of a signal is acknowledged once it is handed over */
  readonly #early: { readonly event: InitEvent; readonly sequence?: number }[] = [];
  readonly #dead = new Map<string, number>();
  readonly #livingPids = new Set<number>();
  readonly #leftovers: Leftovers;
  readonly #alarm: InitAlarm;
  /** the init looks for what a dead child has left */
  #walking = false;
  #ticket = 0;
  #primary: boolean;
  /** answers to these, and refusals of what travels in a memfd, name no question: one of them is asked at a time */
  readonly #successors = new Pending<string, SuccessorResult>();
  readonly #replacements = new Pending<string, ReplaceResult>();
  #asked: Promise<unknown> = Promise.resolve();
  /** the id of a SPAWN that travels in a memfd: when the init loses that, it can name neither verb nor id */
  #largeSpawn: string | undefined;
  /** ids of those that wait for their turn: what is meant for their processes must not be sent before them */
  readonly #unsent = new Set<string>();
  /** when it was last told what the init refused, and why */
  readonly #complained = new Map<string, number>();

  constructor(channel: Channel, greeting: Greeting) {
    this.#channel = channel;
    this.pid = greeting.pid;
    this.isPid1 = greeting.isPid1;
    this.line = greeting.line;
    this.#primary = greeting.primary;
    this.recovered = greeting.recovered;
    this.#leftovers = new Leftovers(this.pid, (pid) => this.#livingPids.has(pid));
    this.#alarm = new InitAlarm(this.pid, () => this.#waiting.some(({ isEmpty }) => !isEmpty));
    for (const { id, pid, exit } of this.recovered.children) {
      if (exit === undefined) this.#livingPids.add(pid);
      else this.#died(id, pid);
    }
  }

  get primary(): boolean {
    return this.#primary;
  }

  listen(receive: (event: InitEvent) => void): void {
    this.#receive = receive;
    for (let early = this.#early.shift(); early !== undefined; early = this.#early.shift()) {
      this.#deliver(early.event, early.sequence);
    }
    this.#note("READY");
  }

  async spawn(id: string, spec: SpawnSpec): Promise<SpawnResult> {
    if (this.#spawns.has(id) || this.#unsent.has(id)) throw new Error(`two processes with the id ${id}`);
    const result = await this.#spawn(id, spawnRequest(id, spec, true));
    const unknownKey = !result.ok && result.stage === "field";
    if (!unknownKey || spec.fds.every(({ held }) => held === undefined)) return result;
    // An init of an older release knows no held=, and has done nothing. Asked each time: another may have taken its place.
    const sent = spawnRequest(id, spec, false);
    return sent.fds.length > maxFrameFds ? { ok: false, stage: "held", errno: "ENOTSUP" } : this.#spawn(id, sent);
  }

  async #spawn(id: string, { fields, fds }: ReturnType<typeof spawnRequest>): Promise<SpawnResult> {
    if (fds.length > maxFrameFds) return noDescriptors;
    const bytes = execFrame("SPAWN", fields);
    if (!Buffer.isBuffer(bytes)) return bytes;
    const ask = async (): Promise<SpawnResult> => {
      try {
        this.#request("SPAWN", bytes, fds);
      } catch (error) {
        if (isShortage(error)) return noDescriptors;
        throw error;
      }
      return this.#spawns.wait(id);
    };
    if (bytes.length <= directBytes) return ask();
    this.#unsent.add(id);
    return this.#inTurn(async () => {
      if (!this.#unsent.delete(id)) return { ok: false, stage: "fork", errno: "ECANCELED" };
      this.#largeSpawn = id;
      try {
        return await ask();
      } finally {
        this.#largeSpawn = undefined;
      }
    });
  }

  async signal(id: string, signal: string, scope: SignalScope): Promise<number> {
    const number = signal === "0" ? 0 : signalNumber(signal);
    if (number === 0 && signal !== "0")
      throw new EntryError("usage", `cannot send "${signal}": no signal has this name`);
    // there is no process yet, and will be none
    if (number !== 0 && this.#unsent.delete(id)) return 1;
    const pid = this.#dead.get(id);
    if (scope !== "tree" || pid === undefined) return this.#order(id, number, scope);
    // the init walks over all processes for each: one at a time is quick, of a crowd we look after the others ourselves
    if (this.#walking) return (await this.#signalLeftovers(id, pid, number)) ?? this.#order(id, number, scope);
    this.#walking = true;
    try {
      return await this.#order(id, number, scope);
    } finally {
      this.#walking = false;
    }
  }

  #order(id: string, number: number, scope: SignalScope): Promise<number> {
    const ticket = ++this.#ticket;
    this.#request("SIGNAL", encodeFrame("SIGNAL", [`${ticket}`, id, `${number}`, scope]), []);
    return this.#signals.wait(ticket);
  }

  /** Undefined: that is the init's business, we do not see them or may not signal them. */
  async #signalLeftovers(id: string, pid: number, number: number): Promise<number | undefined> {
    const left = await this.#leftovers.of(id, pid);
    if (left === undefined || number === 0) return left?.length;
    let count = 0;
    for (const each of left) {
      try {
        process.kill(each, number);
        count += 1;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") return undefined;
      }
    }
    return count;
  }

  #died(id: string, pid: number): void {
    this.#livingPids.delete(pid);
    this.#dead.set(id, pid);
  }

  forget(id: string): void {
    if (this.#unsent.delete(id)) return;
    this.#dead.delete(id);
    this.#note("FORGET", [id], `FORGET ${id}`);
  }

  async hold(name: string, fd: number): Promise<void> {
    this.#request("HOLD", encodeFrame("HOLD", [name]), [fd]);
    return this.#holds.wait(name);
  }

  release(name: string): void {
    this.#note("RELEASE", [name], `RELEASE ${name}`);
  }

  save(name: string, text: string): void {
    this.#channel.send({ verb: "STATE", bytes: encodeFrame("STATE", [name]), fds: [], text, note: `STATE ${name}` });
  }

  grace(ms: number): void {
    this.#note("GRACE", [`${Math.max(0, Math.round(ms))}`]);
  }

  backstop(deadline: number | undefined, code: number): void {
    this.#note("BACKSTOP", [deadline === undefined ? "-" : `${Math.round(deadline)}`, `${code}`]);
  }

  exit(code: number): void {
    this.#channel.sendLast({ verb: "EXIT", bytes: encodeFrame("EXIT", [`${code}`]), fds: [] }, exitPatienceMs);
  }

  successor(spec: { readonly argv: readonly string[]; readonly env: readonly string[] }): Promise<SuccessorResult> {
    const fields = [...spec.env.map((element) => `e=${element}`), ...spec.argv.map((argument) => `a=${argument}`)];
    return this.#inTurn(async () => {
      const bytes = execFrame("SUCCESSOR", fields);
      if (!Buffer.isBuffer(bytes)) return bytes;
      this.#request("SUCCESSOR", bytes, []);
      return this.#successors.wait("SUCCESSOR");
    });
  }

  own(): void {
    this.#primary = true;
    this.#note("OWN");
  }

  abandon(line: number): void {
    this.#note("ABANDON", [`${line}`], `ABANDON ${line}`);
  }

  replace(path: string): Promise<ReplaceResult> {
    return this.#inTurn(async () => {
      this.#request("REPLACE", encodeFrame("REPLACE", [path]), []);
      return this.#replacements.wait("REPLACE");
    });
  }

  standby(lockFd: number): void {
    this.#request("STANDBY", encodeFrame("STANDBY"), [lockFd]);
  }

  /** one frame from the init; descriptors that come with it are nobody's. @throws FrameError: it cannot be understood */
  receive(frame: ReceivedFrame): void {
    const reply = readReply(frame);
    if (frame.fds.length > 0) throw new FrameError(frame.verb, `${frame.fds.length} descriptors, none is needed`);
    this.take(reply);
  }

  /** @throws FrameError: it belongs to the handshake */
  take(reply: Reply): void {
    this.#alarm.heard();
    switch (reply.kind) {
      case "spawned":
        this.#livingPids.add(reply.pid);
        this.#spawns.answer(reply.id, { ok: true, pid: reply.pid });
        break;
      case "spawn-failed":
        this.#spawns.answer(reply.id, { ok: false, stage: reply.stage, errno: reply.errno });
        break;
      case "signalled":
        this.#signals.answer(reply.ticket, reply.count);
        break;
      case "held":
        this.#holds.answer(reply.name, undefined);
        break;
      case "started":
        this.#successors.answer("SUCCESSOR", { ok: true, line: reply.line, pid: reply.pid });
        break;
      case "start-failed":
        this.#successors.answer("SUCCESSOR", { ok: false, stage: reply.stage, errno: reply.errno });
        break;
      case "replaced":
        this.#replacements.answer("REPLACE", { ok: true, version: reply.version });
        break;
      case "signal": {
        this.#deliver(reply, reply.sequence);
        break;
      }
      case "exited":
        this.#died(reply.id, reply.pid);
        this.#deliver(reply);
        break;
      case "reaped":
      case "ended":
        this.#deliver(reply);
        break;
      case "error":
        this.#refused(reply.verb, reply.text);
        break;
      default:
        throw new FrameError("SYNC", "the handshake is over");
    }
  }

  /** the channel is gone: whoever waits is told */
  lost(): void {
    for (const pending of this.#waiting) pending.refuseAll(lostChannel);
    this.#deliver({ kind: "closed" });
  }

  get #waiting() {
    return [this.#spawns, this.#signals, this.#holds, this.#successors, this.#replacements];
  }

  #deliver(event: InitEvent, sequence?: number): void {
    if (this.#receive === undefined) {
      this.#early.push(sequence === undefined ? { event } : { event, sequence });
      return;
    }
    this.#receive(event);
    if (sequence !== undefined) this.#note("ACK", [`${sequence}`]);
  }

  #note(verb: string, fields: readonly string[] = [], note = verb): void {
    this.#channel.send({ verb, bytes: encodeFrame(verb, fields), fds: [], note });
  }

  #request(verb: string, bytes: Buffer, fds: readonly number[]): void {
    if (!this.#channel.open) throw lostChannel();
    this.#channel.send({ verb, bytes, fds });
    this.#alarm.asked();
  }

  #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    const answer = this.#asked.then(ask);
    this.#asked = answer.catch(() => {});
    return answer;
  }

  /** The init did not understand us, a bug of one end, or has lost descriptors: told to the request that is meant. */
  #refused(verb: string, text: string): void {
    const taken = this.#refuse(verb, text);
    // not every HOLD is waited for; "?", of an init of an older release: descriptors were lost, and of what it does not say
    if (taken && verb !== "?" && verb !== "HOLD") return;
    const [what, now] = [`${verb} ${text}`, performance.now()];
    // a state is saved often
    if (now - (this.#complained.get(what) ?? Number.NEGATIVE_INFINITY) < complaintMs) return;
    this.#complained.set(what, now);
    this.#deliver({ kind: "refused", verb, reason: text });
  }

  /** False: nobody waits for an answer to it. */
  #refuse(verb: string, text: string): boolean {
    const error = () => new Error(`the init refused ${verb}: ${text}`);
    switch (verb) {
      case "REPLACE": {
        const waits = this.#replacements.has(verb);
        this.#replacements.answer(verb, { ok: false, reason: text });
        return waits;
      }
      case elsewhere:
        return this.#refuseLarge();
      case "?":
        return this.#holds.refuseOldest((name) => this.#notHeld(name, text)) || this.#refuseLarge();
      case "HOLD":
        return this.#holds.refuseOldest((name) => this.#notHeld(name, text));
      case "SPAWN":
        return this.#spawns.refuseOldest(error);
      case "SIGNAL":
        return this.#signals.refuseOldest(error);
      case "SUCCESSOR":
        return this.#successors.refuseOldest(error);
      default:
        return false;
    }
  }

  /** What travels in a memfd, and was lost with it. */
  #refuseLarge(): boolean {
    if (this.#largeSpawn !== undefined) {
      this.#spawns.answer(this.#largeSpawn, noDescriptors);
      return true;
    }
    const waits = this.#successors.has("SUCCESSOR");
    this.#successors.answer("SUCCESSOR", noDescriptors);
    return waits;
  }

  #notHeld(name: string, text: string): EntryError {
    const open = openFiles(this.pid);
    const having = open === undefined ? "" : `, which has ${open} files open,`;
    return new EntryError("os", `the init${having} cannot hold "${name}": ${text}`);
  }
}
