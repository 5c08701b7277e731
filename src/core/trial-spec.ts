import type { ListenerSpec, ProbeAction, ProbeSpec, ServiceSpec } from "./plan.js";

/** Set for a trial only, so that a program can leave out what must not be done twice. */
export const preflightVariable = "PINGORA_ENTRY_PREFLIGHT";

interface Place {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

/** A private socket, and the place of the listener in whose stead it is. */
export interface StandIn extends Place {
  readonly spec: Pick<ListenerSpec, "address">;
  readonly standsFor?: Place;
}

/** The service as its trial is run: told that it is one, asked at its private sockets, ready within `limitMs`, and never started again. */
export function trialSpec(service: ServiceSpec, standIns: readonly StandIn[], limitMs: number): ServiceSpec {
  const { process, startTimeoutMs } = service;
  const probes = (["readinessProbe", "livenessProbe", "startupProbe"] as const).flatMap((kind) => {
    const probe: ProbeSpec | undefined = service[kind];
    return probe === undefined ? [] : [[kind, { ...probe, action: atStandIn(probe.action, standIns) }]];
  });
  return {
    ...service,
    ...Object.fromEntries(probes),
    ...(process && { process: { ...process, env: { ...process.env, [preflightVariable]: "1" }, tty: false } }),
    startTimeoutMs: Math.max(1, Math.min(startTimeoutMs > 0 ? startTimeoutMs : Number.POSITIVE_INFINITY, limitMs)),
    restart: { ...service.restart, policy: "never" },
    onFailure: "ignore",
    instances: 1,
  };
}

/** What asks a listener asks its private socket instead. The port alone tells: a machine has many names. */
function atStandIn(action: ProbeAction, standIns: readonly StandIn[]): ProbeAction {
  const atPort = (port: number): StandIn | undefined =>
    standIns.find(({ spec, standsFor }) => spec.address.kind === "tcp" && standsFor?.port === port);
  const atPath = (path: string): StandIn | undefined => standIns.find(({ standsFor }) => standsFor?.path === path);
  switch (action.kind) {
    case "tcpSocket": {
      const { host = action.host, port = action.port } = atPort(action.port) ?? {};
      return { ...action, host, port };
    }
    case "unixSocket":
      return { ...action, path: atPath(action.path)?.path ?? action.path };
    case "httpGet": {
      if (action.socketPath !== undefined)
        return { ...action, socketPath: atPath(action.socketPath)?.path ?? action.socketPath };
      const { host, port } = atPort(action.port) ?? {};
      return host === undefined || port === undefined ? action : { ...action, host, port, headers: withHost(action) };
    }
    default:
      return action;
  }
}

/** Servers choose a site by this header, or refuse others: it stays what it will be. */
function withHost({ headers, host, port, scheme }: Extract<ProbeAction, { kind: "httpGet" }>): typeof headers {
  if (headers.some(({ name }) => name.toLowerCase() === "host")) return headers;
  const bare = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  const usual = port === (scheme === "https" ? 443 : 80);
  return [...headers, { name: "Host", value: usual ? bare : `${bare}:${port}` }];
}
