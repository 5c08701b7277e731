import type { ListenerSpec, ProbeSpec, ServiceSpec } from "../core/plan.js";

/** "after migrate completed, cache ready"; "" for nothing. */
export function needsWords(service: ServiceSpec): string {
  const needs = Object.entries(service.dependsOn).map(([name, condition]) => `${name} ${condition}`);
  return needs.length === 0 ? "" : `after ${needs.join(", ")}`;
}

/** How the service becomes ready: "http 127.0.0.1:8080/healthz". */
export function readyWords(service: ServiceSpec): string {
  if (service.type === "oneshot") return "done at exit 0";
  return service.readinessProbe === undefined ? "ready once it runs" : `ready by ${probeWords(service.readinessProbe)}`;
}

function probeWords({ action }: ProbeSpec): string {
  switch (action.kind) {
    case "tcpSocket":
      return `tcp ${address(action.host, action.port)}`;
    case "unixSocket":
      return `unix ${action.path}`;
    case "httpGet":
      return `${action.scheme} ${action.socketPath ?? address(action.host, action.port)}${action.path}`;
    case "exec":
      return `exec ${action.command.join(" ")}`;
    case "file":
      return `file ${action.path}`;
    case "log":
      return `log /${action.pattern}/`;
    case "notify":
      return action.fd === undefined ? "sd_notify" : `newline on fd ${action.fd}`;
  }
}

/** "tcp 0.0.0.0:8080", "unix /run/app.sock" */
export function listenerWords({ address: at }: ListenerSpec): string {
  return at.kind === "unix" ? `unix ${at.path}` : `${at.kind} ${address(at.host, at.port)}`;
}

function address(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Milliseconds as seconds, without needless digits: "2.5". */
export function secondsWords(ms: number): string {
  return String(Math.round(ms / 10) / 100);
}

/** Rows as aligned columns, two spaces between, none at the end. */
export function columns(rows: readonly (readonly string[])[], indent = "  "): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map((row) => `${indent}${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")}`.trimEnd())
    .join("\n");
}

/** Steps one after the other from 0 on, as aligned rows, and their sum as "5 + 10 = 15". */
export function timeline(steps: readonly { readonly ms: number; readonly what: string }[]): {
  readonly rows: string;
  readonly sum: string;
} {
  let at = 0;
  const rows = steps.map(({ ms, what }) => {
    const row = [`${secondsWords(at)} s`, `${secondsWords(ms)} s`, what];
    at += ms;
    return row;
  });
  const from = Math.max(...rows.map(([start = ""]) => start.length));
  const long = Math.max(...rows.map(([, length = ""]) => length.length));
  const lines = rows.map(
    ([start = "", length = "", what = ""]) => `  at ${start.padStart(from)}  for ${length.padStart(long)}  ${what}`,
  );
  const sum = steps.map(({ ms }) => secondsWords(ms)).join(" + ");
  return { rows: lines.join("\n"), sum: steps.length === 1 ? sum : `${sum} = ${secondsWords(at)}` };
}
