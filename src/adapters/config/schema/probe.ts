import { characterCode, quote } from "../complaints.js";
import { count, type Format, flag, path, Refused, seconds, text } from "../format.js";
import { commandLine, pattern } from "../format-process.js";
import { isIPv6 } from "../ip-address.js";
import { either, key, listOf, mapOf, type ObjectOf, object, scalarOf } from "../shape.js";
import { commandShape, listenerName } from "./names.js";

const portNumber = count(1, 65535);
const port = scalarOf<number>({
  ...portNumber,
  name: "port",
  needs: "a port number",
  parse: (written) => {
    const named = /^[A-Za-z]/.test(written.text);
    return named
      ? new Refused(
          `${quote(written.text)} is not a port number`,
          `for the port of a listener write listener: ${written.text}`,
        )
      : portNumber.parse(written);
  },
});
const scheme: Format<"http" | "https"> = {
  name: "scheme",
  needs: "one of http, https",
  parse: ({ text: written }) => (["http", "https"] as const).find((known) => known === written.toLowerCase()),
  json: { enum: ["http", "https", "HTTP", "HTTPS"] },
};
/** What a URL can have as host; an IPv6 address stands without brackets here. */
const hostName: Format<string> = {
  name: "host",
  needs: "a host name or an IP address",
  parse: ({ value, text: written }) => {
    if (value === null) return undefined;
    if (isIPv6(written)) return written;
    return /^[\p{L}\p{N}._-]+$/u.test(written) && URL.canParse(`http://${written}/`) ? written : undefined;
  },
  json: text.json,
};
/** What a request line can have as its target; the rest of what is no ASCII is sent percent-encoded. */
const requestPath: Format<string> = {
  name: "request path",
  needs: "a path",
  parse: ({ value, text: written }) => {
    if (value === null || written === "") return undefined;
    if (/^[a-z]+:\/\//i.test(written))
      return new Refused(
        `${quote(written)} is a URL, its path alone is needed`,
        "scheme, host and port are keys of their own",
      );
    const wrong = [...written].find((char) => /[\p{Cc}#]/u.test(char));
    return wrong === undefined
      ? written
      : new Refused(
          `has the character ${characterCode(wrong)}, which no path can have`,
          `write ${encodeURIComponent(wrong)}`,
        );
  },
  json: text.json,
};
const host = key(scalarOf(hostName), {
  doc: "Address to ask.",
  defaultText: "the listener's own address, or 127.0.0.1",
});
const listener = key(listenerName, { doc: "Name of one of the service's listeners, instead of a port." });

const noGrpc = "gRPC is not asked here; use exec with grpc_health_probe, or tcpSocket";

const httpGet = object("httpGet probe", {
  path: key(scalarOf(requestPath), { doc: "Path and query to ask for.", default: "/", examples: ["/healthz"] }),
  port: key(port, { doc: "TCP port." }),
  listener,
  host,
  scheme: key(scalarOf(scheme), {
    doc: "https does not verify the certificate, as Kubernetes does not.",
    default: "http" as const,
  }),
  httpHeaders: key(
    either({
      list: listOf(
        object("header", {
          name: key(scalarOf(text), { also: ["headers"], doc: "Name of the header." }),
          value: key(scalarOf(text), { doc: "Value of the header.", secret: true }),
        }),
        "a list of headers with name and value",
      ),
      map: mapOf(scalarOf(text), "a map of header names to values", {
        pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/,
        needs: "a header's name is letters, digits and dashes",
      }),
    }),
    { doc: "Headers to send, as Kubernetes writes them (a list of name and value) or as a map.", secret: true },
  ),
});

const tcpSocket = object("tcpSocket probe", {
  port: key(port, { doc: "TCP port." }),
  listener,
  host,
});

const exec = object("exec probe", {
  command: key(commandShape, {
    doc: "Succeeds with exit code 0. Runs as the service's user, in its environment and working directory.",
  }),
});

const file = object("file probe", {
  path: key(scalarOf(path), { doc: "Ready while this file exists.", examples: ["/run/app/ready"] }),
});

const log = object("log probe", {
  pattern: key(scalarOf(pattern), {
    doc: "JavaScript regular expression; ready when a line of the service's output matches. The supervisor itself matches it, so it must not backtrack without end, as ^(a+)+$ does.",
    examples: ["listening on port \\d+"],
  }),
});

const notify = object("notify probe", {
  fd: key(scalarOf(count(3, 1023)), {
    doc: "The service writes a newline to this file descriptor when it is ready (s6's way), instead of READY=1 to NOTIFY_SOCKET (systemd's way).",
  }),
});

const timing = {
  initialDelaySeconds: key(scalarOf(seconds()), {
    doc: "Wait this long before asking the first time. This and the following keys have no place in log and notify probes, which ask nothing.",
    default: 0,
    unit: "s",
  }),
  periodSeconds: key(scalarOf(seconds(0.01)), { doc: "Time from one question to the next.", default: 10, unit: "s" }),
  timeoutSeconds: key(scalarOf(seconds(0.01)), {
    doc: "No answer within this time is a failure.",
    default: 1,
    unit: "s",
  }),
  successThreshold: key(scalarOf(count(1, 1000)), {
    doc: "This many successes in a row make it pass. Must be 1 for liveness and startup probes.",
    default: 1,
  }),
  failureThreshold: key(scalarOf(count(1, 100_000)), { doc: "This many failures in a row make it fail.", default: 3 }),
} as const;

export const timingKeys: readonly string[] = Object.keys(timing);

const always = {
  httpGet: key(httpGet, { doc: "Succeeds with a status from 200 to 399." }),
  tcpSocket: key(tcpSocket, { doc: "Succeeds when a connection is accepted." }),
  exec: key(either({ scalar: scalarOf(commandLine), list: listOf(scalarOf(text), "a list of words", 1), map: exec }), {
    doc: "Runs a command. The command may stand here directly.",
  }),
  file: key(either({ scalar: scalarOf(path), map: file }), {
    doc: "Succeeds while a file exists. The path may stand here directly.",
  }),
} as const;

/** Readiness: also what the service says of itself. */
export const readinessProbe = object(
  "readinessProbe",
  {
    ...always,
    log: key(either({ scalar: scalarOf(pattern), map: log }), {
      doc: "Ready once a line of output matches. The pattern may stand here directly.",
    }),
    notify: key(either({ scalar: scalarOf(flag), map: notify }), {
      doc: "Ready once the service says so: true for READY=1 on NOTIFY_SOCKET (sd_notify(3)), { fd: N } for a newline on a file descriptor.",
    }),
    ...timing,
  },
  { grpc: noGrpc },
);

/** Liveness and startup: what can be asked again and again. */
export const livenessProbe = object(
  "probe",
  { ...always, ...timing },
  {
    notify: "only a readinessProbe can wait for this",
    log: "only a readinessProbe can wait for this",
    grpc: noGrpc,
  },
);

export const probeActions = ["httpGet", "tcpSocket", "exec", "file", "log", "notify"] as const;
export type WrittenProbe = ObjectOf<(typeof readinessProbe)["keys"]>;
