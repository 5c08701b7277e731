import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, RequestOptions } from "node:http";
import type { NetConnectOpts, Socket } from "node:net";
import type { ProbeAction } from "../../core/plan.js";
import type { Dial } from "./accepted-connection.js";
import { type Attempt, failed, passed } from "./attempt.js";
import { codeOf, connectFailure, hostPort } from "./failure-text.js";

type HttpAction = Extract<ProbeAction, { kind: "httpGet" }>;

const redirectLimit = 10;
const bodyLimit = 10 * 1024;
const headerLimit = 32 * 1024;

/** Kubernetes' httpGet: 200 to 399 passes; redirects are followed on the same host, and pass when they lead elsewhere. */
export function httpProbe(action: HttpAction, userAgent: string, dial: Dial): Attempt {
  return (settle) => {
    const over = new AbortController();
    let ended = false;
    let request: ClientRequest | undefined;
    // joined as text: as a relative reference "//x" would be a host
    const start = new URL(baseUrl(action) + (action.path.startsWith("/") ? action.path : `/${action.path}`));
    const ask = async (url: URL, redirects: number): Promise<void> => {
      const client = url.protocol === "https:" ? await import("node:https") : await import("node:http");
      if (ended) return;
      const where = action.socketPath ?? hostPort(bareHost(url), portOf(url));
      const options = requestOptions(action, url, userAgent);
      const socket = await dial(dialOptions(action, url), over.signal).catch((error: unknown) => error as Error);
      if (socket instanceof Error) {
        settle(failed(requestFailure(socket, where)));
        return;
      }
      if (ended) {
        socket.destroy();
        return;
      }
      over.signal.addEventListener("abort", () => socket.destroy(), { once: true });
      const mine = client.request({ ...options, ...throughSocket(socket, url) });
      request = mine;
      mine.on("error", (error) => {
        if (request === mine) settle(failed(requestFailure(error, where)));
      });
      mine.on("response", (response) => {
        const target = redirectTarget(response, url);
        if (target === undefined || target.hostname !== url.hostname) judge(response);
        else if (redirects === redirectLimit)
          settle(failed(`more than ${redirectLimit} redirects, the last to ${target.pathname}`));
        else {
          request = undefined;
          mine.destroy();
          socket.destroy();
          void ask(target, redirects + 1).catch(refuse);
        }
      });
      mine.end();
    };
    // the body is read, so that the service is not told of a broken connection, but not for ever
    const judge = (response: IncomingMessage): void => {
      let length = 0;
      const verdict = (): void => settle(statusResult(response.statusCode ?? 0));
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length >= bodyLimit) verdict();
      });
      response.on("end", verdict);
      response.on("error", (error) => settle(failed(`the answer broke off: ${codeOf(error) ?? error.message}`)));
    };
    const refuse = (error: unknown): void => settle(failed(error instanceof Error ? error.message : String(error)));
    void ask(start, 0).catch(refuse);
    return () => {
      ended = true;
      request?.destroy();
      over.abort();
    };
  };
}

function dialOptions(action: HttpAction, url: URL): NetConnectOpts {
  if (action.socketPath !== undefined) return { path: action.socketPath };
  return { host: bareHost(url), port: portOf(url) };
}

/** TLS goes over the given socket by itself. Plain HTTP has to be handed it, and asks no agent then, which would open one of its own. */
function throughSocket(socket: Socket, url: URL): RequestOptions {
  if (url.protocol === "https:") return { agent: false, socket } as RequestOptions;
  return { createConnection: () => socket };
}

function statusResult(status: number) {
  return status >= 200 && status < 400 ? passed : failed(`HTTP ${status}`);
}

function requestOptions(
  action: HttpAction,
  url: URL,
  userAgent: string,
): RequestOptions & { readonly rejectUnauthorized: false } {
  return {
    method: "GET",
    host: bareHost(url),
    port: portOf(url),
    path: `${url.pathname}${url.search}`,
    ...(action.socketPath === undefined ? {} : { socketPath: action.socketPath }),
    headers: headersOf(action, userAgent),
    maxHeaderSize: headerLimit,
    // as the kubelet does: the probe asks whether it is up, not who it is
    rejectUnauthorized: false,
  };
}

/** The configured headers win; an empty User-Agent or Accept takes ours away, as in Kubernetes. */
function headersOf(action: HttpAction, userAgent: string): OutgoingHttpHeaders {
  const headers = new Map<string, string[]>();
  for (const { name, value } of action.headers)
    headers.set(name.toLowerCase(), [...(headers.get(name.toLowerCase()) ?? []), value]);
  const result: Record<string, string | string[]> = {};
  for (const [name, value] of [
    ["user-agent", userAgent],
    ["accept", "*/*"],
  ] as const) {
    if (!headers.has(name)) headers.set(name, [value]);
    else if (headers.get(name)?.[0] === "") headers.delete(name);
  }
  headers.set("connection", ["close"]);
  for (const [name, values] of headers)
    result[name] = name === "host" || values.length === 1 ? (values[0] ?? "") : values;
  return result;
}

function redirectTarget(response: IncomingMessage, from: URL): URL | undefined {
  const { statusCode, headers } = response;
  if (statusCode === undefined || ![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined)
    return undefined;
  return URL.canParse(headers.location, from.href) ? new URL(headers.location, from.href) : undefined;
}

function requestFailure(error: unknown, where: string): string {
  const code = codeOf(error);
  if (code === "ECONNRESET" && error instanceof Error && error.message === "socket hang up")
    return `${where} closed the connection without an answer`;
  if (code?.startsWith("HPE_") === true) return `${where} does not speak HTTP`;
  if (code === "EPROTO" || code?.startsWith("ERR_SSL") === true) return `${where} does not speak TLS`;
  return connectFailure(error, where);
}

function baseUrl(action: HttpAction): string {
  return `${action.scheme}://${hostPort(action.host, action.port)}`;
}

function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}
