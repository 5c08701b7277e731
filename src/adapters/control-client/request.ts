import type { IncomingMessage } from "node:http";
import { EntryError } from "../../core/entry-error.js";
import type { ControlPath } from "./control-path.js";

export interface Asked {
  readonly method: "GET" | "POST";
  /** with its query */
  readonly path: string;
  /** sent as JSON */
  readonly body?: object;
  /** how long to wait for the head of the answer; undefined: for ever */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

/** More is no answer of ours. */
const bodyLimit = 16 * 1024 * 1024;

/**
 * Sends one request over the control socket and resolves with the head of the answer, whatever its status.
 * @throws EntryError unavailable: nobody answers, with the path that was tried and how to name another; AbortError when `signal` aborts
 */
export async function request(at: ControlPath, asked: Asked): Promise<IncomingMessage> {
  const http = await import("node:http");
  return await new Promise((resolve, reject) => {
    const { method, path, body, timeoutMs, signal } = asked;
    const call = http.request({
      socketPath: at.path,
      method,
      path,
      agent: false,
      signal,
      headers: { host: "localhost", accept: "application/json, application/x-ndjson" },
    });
    let late = false;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            late = true;
            call.destroy();
          }, timeoutMs);
    call.on("response", (response) => {
      clearTimeout(timer);
      resolve(response);
    });
    call.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (signal.aborted) reject(error);
      else reject(unavailable(at, late ? `no answer within ${(timeoutMs ?? 0) / 1000} s` : stateFound(error)));
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/**
 * The whole body as text.
 * @throws EntryError unavailable: the answer broke off, or has no end
 */
export async function bodyOf(at: ControlPath, response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > bodyLimit) throw unavailable(at, "its answer has no end");
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof EntryError || (error instanceof Error && error.name === "AbortError")) throw error;
    throw unavailable(at, "the answer broke off");
  }
  return Buffer.concat(parts).toString("utf8");
}

export function unavailable({ path, from }: ControlPath, found: string): EntryError {
  const named = from === "default" ? "the default path" : `named by ${from}`;
  const hint = `name another with --socket PATH or PINGORA_ENTRY_ADMIN_SOCKET`;
  return new EntryError("unavailable", `cannot reach a running instance at ${path} (${named}): ${found}; ${hint}`);
}

function stateFound(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ENOENT":
      return "there is no such socket";
    case "ECONNREFUSED":
      return "nobody listens on it any more";
    case "EACCES":
    case "EPERM":
      return "permission denied, it is open to its owner and root";
    case "ENOTSOCK":
    case "EPROTOTYPE":
      return "it is no stream socket";
    case "ECONNRESET":
      return "the connection was closed without an answer";
    default:
      return error.code ?? error.message;
  }
}
