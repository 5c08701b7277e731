import type { ListenerSpec, ProbeAction, ProbeSpec } from "../../../core/plan.js";
import { suggest } from "../../../core/suggest.js";
import { characterCode, meant, quote } from "../complaints.js";
import { livenessProbe, probeActions, readinessProbe, timingKeys, type WrittenProbe } from "../schema/probe.js";
import { itemPaths, keyPlaceFor, ms, namesUnder, placeFor, type Scene } from "./scene.js";

export type ProbeKind = "readinessProbe" | "livenessProbe" | "startupProbe";

type Target = { readonly host: string; readonly port: number; readonly socketPath?: string };

/** `listeners`: those of the service. Undefined when the probe asks nothing usable; why is complained about. */
export function compileProbe(
  kind: ProbeKind,
  written: Partial<WrittenProbe>,
  path: string,
  listeners: readonly string[],
  scene: Scene,
): ProbeSpec | undefined {
  const { complaints, places } = scene;
  const given = probeActions.filter((action) => places.has(`${path}.${action}`) && written[action] !== false);
  const [, second] = given;
  // an unknown key says enough: it was meant to be the action
  if (given.length === 0 && hasUnknown(kind, path, places)) return undefined;
  if (given.length !== 1) {
    const message = second === undefined ? "asks nothing" : `asks in more than one way: ${given.join(", ")}`;
    const known = kind === "readinessProbe" ? probeActions : probeActions.slice(0, 4);
    complaints.problem(
      keyPlaceFor(places, second === undefined ? path : `${path}.${second}`),
      path,
      message,
      `give exactly one of ${known.join(", ")}`,
    );
    return undefined;
  }
  if (kind !== "readinessProbe" && written.successThreshold !== undefined && written.successThreshold !== 1) {
    const at = `${path}.successThreshold`;
    complaints.problem(
      placeFor(places, at),
      at,
      `${written.successThreshold} is not possible: a ${kind} passes with the first success`,
      "write 1",
    );
  }
  const action = actionOf(written, path, listeners, scene);
  if (action === undefined) return undefined;
  if (action.kind === "log" || action.kind === "notify") refuseTiming(action.kind, path, scene);
  return {
    action,
    initialDelayMs: ms(written.initialDelaySeconds ?? 0),
    periodMs: ms(written.periodSeconds ?? 10),
    timeoutMs: ms(written.timeoutSeconds ?? 1),
    successThreshold: written.successThreshold ?? 1,
    failureThreshold: written.failureThreshold ?? 3,
  };
}

/** Nobody is asked, so there is nothing to time. */
function refuseTiming(kind: "log" | "notify", path: string, { complaints, places }: Scene): void {
  for (const key of timingKeys) {
    const entry = places.get(`${path}.${key}`);
    if (entry === undefined) continue;
    const message = `has no effect with ${kind}: the service itself says when it is ready, it is not asked`;
    complaints.problem(entry.key, `${path}.${key}`, message, "startTimeoutSeconds limits how long that may take");
  }
}

function hasUnknown(kind: ProbeKind, path: string, places: Scene["places"]): boolean {
  const node = places.get(path)?.value;
  const { keys } = kind === "readinessProbe" ? readinessProbe : livenessProbe;
  return node?.kind === "map" && [...node.entries.keys()].some((name) => !Object.hasOwn(keys, name));
}

function actionOf(
  written: Partial<WrittenProbe>,
  path: string,
  listeners: readonly string[],
  scene: Scene,
): ProbeAction | undefined {
  const { httpGet, tcpSocket, exec, file, log, notify } = written;
  if (httpGet !== undefined) {
    const target = targetOf(httpGet, `${path}.httpGet`, listeners, scene);
    if (target === undefined) return undefined;
    const asked = httpGet.path.startsWith("/") ? httpGet.path : `/${httpGet.path}`;
    return {
      kind: "httpGet",
      scheme: httpGet.scheme,
      ...target,
      path: asked,
      headers: headersOf(httpGet.httpHeaders, `${path}.httpGet`, scene),
    };
  }
  if (tcpSocket !== undefined) {
    const target = targetOf(tcpSocket, `${path}.tcpSocket`, listeners, scene);
    if (target === undefined) return undefined;
    if (tcpSocket.listener !== undefined) {
      const at = `${path}.tcpSocket`;
      const message = `succeeds before the service accepts anything, except during an upgrade: pingora-entry itself holds the socket of listener "${tcpSocket.listener}", so the kernel takes the connection`;
      scene.complaints.warning(
        placeFor(scene.places, at),
        at,
        message,
        "use httpGet, notify or another probe that the service answers",
      );
    }
    if (target.socketPath !== undefined) return { kind: "unixSocket", path: target.socketPath };
    return { kind: "tcpSocket", host: target.host, port: target.port };
  }
  if (exec !== undefined) {
    const command = "command" in exec ? exec.command : exec;
    if (command !== undefined && command.length > 0) return { kind: "exec", command };
    missing(`${path}.exec`, "command", scene);
  }
  if (file !== undefined) {
    const name = typeof file === "string" ? file : file.path;
    if (name !== undefined) return { kind: "file", path: name };
    missing(`${path}.file`, "path", scene);
  }
  if (log !== undefined) {
    const source = typeof log === "string" ? log : log.pattern;
    if (source !== undefined) return { kind: "log", pattern: source };
    missing(`${path}.log`, "pattern", scene);
  }
  if (notify === undefined || notify === false) return undefined;
  return notify === true || notify.fd === undefined ? { kind: "notify" } : { kind: "notify", fd: notify.fd };
}

/** Says that a key is missing, unless it is there and was refused already. */
function missing(path: string, key: string, { complaints, places }: Scene): void {
  const entry = places.get(path);
  if (entry === undefined || entry.value.kind !== "map" || places.has(`${path}.${key}`)) return;
  complaints.problem(entry.key, path, `${key} is missing`);
}

interface WrittenTarget {
  readonly port: number | undefined;
  readonly listener: string | undefined;
  readonly host: string | undefined;
}

function targetOf(
  written: WrittenTarget,
  path: string,
  listeners: readonly string[],
  scene: Scene,
): Target | undefined {
  const { complaints, places } = scene;
  const hasPort = places.has(`${path}.port`);
  const hasListener = places.has(`${path}.listener`);
  if (hasPort === hasListener) {
    const message = hasPort ? "has both port and listener" : "has neither port nor listener";
    complaints.problem(keyPlaceFor(places, hasPort ? `${path}.listener` : path), path, message, "give one of them");
    return undefined;
  }
  if (written.port !== undefined) return { host: written.host ?? "127.0.0.1", port: written.port };
  if (written.listener === undefined) return undefined;
  const listener = ownListener(written.listener, `${path}.listener`, listeners, scene);
  return listener === undefined ? undefined : listenerTarget(listener, written.host, `${path}.listener`, scene);
}

function ownListener(name: string, path: string, listeners: readonly string[], scene: Scene): ListenerSpec | undefined {
  const { complaints, places } = scene;
  const listener = scene.listeners.get(name);
  if (listener !== undefined && listeners.includes(name)) return listener;
  // a listener that is there but was refused has been complained about
  if (listener === undefined && places.has(`listeners.${name}`)) return undefined;
  if (listener === undefined) {
    complaints.problem(
      placeFor(places, path),
      path,
      `unknown listener ${quote(name)}`,
      meant(suggest(name, namesUnder(places, "listeners"))),
    );
  } else {
    const own = listeners.length === 0 ? "it has none" : `it has ${listeners.join(", ")}`;
    complaints.problem(
      placeFor(places, path),
      path,
      `listener ${quote(name)} is not one of this service's listeners: ${own}`,
    );
  }
  return undefined;
}

function listenerTarget(
  listener: ListenerSpec,
  host: string | undefined,
  path: string,
  scene: Scene,
): Target | undefined {
  const { address } = listener;
  const place = placeFor(scene.places, path);
  if (address.kind === "udp" || (address.kind === "unix" && address.type !== "stream")) {
    const what = address.kind === "udp" ? "UDP" : address.type;
    scene.complaints.problem(
      place,
      path,
      `listener "${listener.name}" is a ${what} socket, a stream is needed to ask it`,
    );
    return undefined;
  }
  if (address.kind === "unix") return { host: host ?? "localhost", port: 80, socketPath: address.path };
  if (address.port === 0) {
    scene.complaints.problem(
      place,
      path,
      `listener "${listener.name}" has port 0, any free one; a probe needs a fixed port`,
    );
    return undefined;
  }
  return { host: host ?? reachableHost(address.host), port: address.port };
}

/** A wildcard address is asked over loopback. */
function reachableHost(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return /^[0:]+$/.test(host) ? "::1" : host;
}

type WrittenHeaders = NonNullable<WrittenProbe["httpGet"]>["httpHeaders"];

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110, field-value; what is not ASCII goes out as Latin-1 */
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

function headersOf(written: WrittenHeaders, path: string, scene: Scene): { name: string; value: string }[] {
  if (written === undefined) return [];
  const item = itemPaths(scene.places, `${path}.httpHeaders`);
  const list = isList(written)
    ? written.map(({ name, value }, i) => ({ name, value, at: item(i), below: ".value" }))
    : Object.entries(written).map(([name, value]) => ({ name, value, at: `${path}.httpHeaders.${name}`, below: "" }));
  return list.flatMap(({ name, value, at, below }) => {
    const say = (where: string, message: string): never[] => {
      scene.complaints.problem(placeFor(scene.places, where), where, message);
      return [];
    };
    if (name === undefined || value === undefined) {
      // one that is there was refused, which has been complained about
      const refused = scene.places.has(`${at}.${name === undefined ? "name" : "value"}`);
      return refused ? [] : say(at, "needs name and value");
    }
    if (!headerName.test(name)) return say(at, `${quote(name)} cannot be the name of a header`);
    const wrong = [...value].find((char) => !headerValue.test(char));
    if (wrong !== undefined) {
      return say(`${at}${below}`, `the value has the character ${characterCode(wrong)}, which no HTTP header can have`);
    }
    return [{ name, value }];
  });
}

function isList(
  written: NonNullable<WrittenHeaders>,
): written is Extract<NonNullable<WrittenHeaders>, readonly unknown[]> {
  return Array.isArray(written);
}
