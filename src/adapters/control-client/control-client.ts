import type { IncomingMessage } from "node:http";
import { EntryError, type ExitReason } from "../../core/entry-error.js";
import type { Snapshot, Transition } from "../../core/snapshot.js";
import type { UpgradeOrder, UpgradeOutcome, UpgradeProgress } from "../../core/upgrade-outcome.js";
import type { OutputLine, SignalScope } from "../../runtime/ports.js";
import type { ControlPath } from "./control-path.js";
import { bodyOf, request, unavailable } from "./request.js";
import { serverSentEvents } from "./server-sent-events.js";
import { textLines } from "./text-lines.js";

export type StatusEvent =
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  | { readonly kind: "transition"; readonly transition: Transition };

/**
 * The running instance, as its control socket shows it. Everything rejects with EntryError `unavailable` when nobody answers,
 * `failed` or `usage` with the instance's own words when it refuses, AbortError when `signal` aborts.
 */
export interface ControlClient {
  readonly at: ControlPath;
  status(signal: AbortSignal, timeoutMs?: number): Promise<Snapshot>;
  /** the state now, then every change; ends with the connection */
  events(signal: AbortSignal): AsyncGenerator<StatusEvent>;
  /** `opened` is called when somebody has answered. Rejects as unavailable when the answer breaks off: the supervisor has died */
  logs(query: LogQuery, signal: AbortSignal, opened?: () => void): AsyncGenerator<OutputLine>;
  /** resolves when it is done */
  operate(service: string, action: "start" | "stop" | "restart", signal: AbortSignal): Promise<void>;
  /** progress, and last the outcome; ends without one when the connection breaks */
  upgrade(order: UpgradeOrder, signal: AbortSignal): AsyncGenerator<UpgradeLine>;
  /** number of processes reached, at least one */
  signalService(service: string, name: string, scope: SignalScope, signal: AbortSignal): Promise<number>;
}

export type UpgradeLine =
  | ({ readonly kind: "progress" } & UpgradeProgress)
  | ({ readonly kind: "outcome" } & UpgradeOutcome)
  | { readonly kind: "error"; readonly reason: ExitReason; readonly error: string };

export interface LogQuery {
  /** undefined: of all services */
  readonly service?: string;
  readonly tail: number;
  readonly follow: boolean;
}

const answerMs = 5_000;
/** An order is not lost with a supervisor that stands still: the init starts another one after 5 s, which finds it in the queue. */
const reviveMs = 15_000;

export function controlClient(at: ControlPath): ControlClient {
  const get = async (path: string, signal: AbortSignal, timeoutMs = answerMs): Promise<IncomingMessage> =>
    accepted(at, await request(at, { method: "GET", path, timeoutMs, signal }));
  const post = async (path: string, signal: AbortSignal): Promise<string> =>
    bodyOf(at, await accepted(at, await request(at, { method: "POST", path, signal })));
  const servicePath = (name: string, action: string): string => `/v1/services/${encodeURIComponent(name)}/${action}`;

  return {
    at,
    async status(signal, timeoutMs) {
      return readJson<Snapshot>(at, await bodyOf(at, await get("/status", signal, timeoutMs)));
    },
    async *events(signal) {
      const response = await get("/v1/events", signal);
      for await (const { event, data } of serverSentEvents(textLines(untilBroken(response)))) {
        if (event === "snapshot") yield { kind: "snapshot", snapshot: readJson<Snapshot>(at, data) };
        else if (event === "transition") yield { kind: "transition", transition: readJson<Transition>(at, data) };
      }
    },
    async *logs({ service, tail, follow }, signal, opened) {
      const query = new URLSearchParams({
        tail: `${tail}`,
        follow: `${follow}`,
        ...(service === undefined ? {} : { service }),
      });
      const response = await get(`/v1/logs?${query}`, signal);
      opened?.();
      for await (const line of textLines(untilBroken(response))) {
        if (line !== "") yield readJson<OutputLine>(at, line);
      }
      if (!response.complete && !signal.aborted) throw unavailable(at, "the answer broke off");
    },
    async operate(service, action, signal) {
      await post(servicePath(service, action), signal);
    },
    async *upgrade(order, signal) {
      const response = await request(at, {
        method: "POST",
        path: "/v1/upgrade",
        body: order,
        timeoutMs: reviveMs,
        signal,
      });
      for await (const line of textLines(untilBroken(await accepted(at, response)))) {
        if (line !== "") yield readJson<UpgradeLine>(at, line);
      }
    },
    async signalService(service, name, scope, signal) {
      const query = new URLSearchParams({ signal: name, scope });
      const body = await post(`${servicePath(service, "signal")}?${query}`, signal);
      return readJson<{ readonly processes: number }>(at, body).processes;
    },
  };
}

/** A connection that breaks off ends the stream: the instance is gone, or its supervisor is. Only an abort is thrown. */
async function* untilBroken(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    yield* response as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") throw error;
  }
}

/** Passes on an answer of success. @throws EntryError with what the instance says otherwise */
async function accepted(at: ControlPath, response: IncomingMessage): Promise<IncomingMessage> {
  const { statusCode = 0 } = response;
  if (statusCode >= 200 && statusCode < 300) return response;
  const body = await bodyOf(at, response);
  const reason = statusCode === 400 || statusCode === 404 ? "usage" : "failed";
  throw new EntryError(reason, errorText(body) ?? `the instance at ${at.path} answered with HTTP ${statusCode}`);
}

function errorText(body: string): string | undefined {
  try {
    const answer: unknown = JSON.parse(body);
    if (typeof answer !== "object" || answer === null || !("error" in answer)) return undefined;
    return typeof answer.error === "string" ? answer.error : undefined;
  } catch {
    return undefined;
  }
}

function readJson<T>(at: ControlPath, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw unavailable(at, "its answer is none of pingora-entry's");
  }
}
