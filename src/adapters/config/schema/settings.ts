import type { Format } from "../format.js";
import { anyText, count, flag, path, seconds, text, word } from "../format.js";
import { addressOrOff, socketPath } from "../format-address.js";
import { key, type ObjectOf, object, scalarOf } from "../shape.js";

const autoSeconds: Format<number | "auto"> = {
  name: "seconds or auto",
  needs: "a number of seconds, or auto",
  parse: (written) => (written.text === "auto" ? "auto" : seconds().parse(written)),
  json: { anyOf: [seconds().json, { const: "auto" }] },
};

const autoFlag: Format<boolean | "auto"> = {
  name: "flag or auto",
  needs: "true, false or auto",
  parse: (written) => (written.text === "auto" ? "auto" : flag.parse(written)),
  json: { enum: [true, false, "auto"] },
};

const pathOrOff: Format<string | false> = {
  name: "path or off",
  needs: "an absolute path, or off",
  parse: (written) =>
    written.value === false || ["off", "false"].includes(written.text) ? false : path.parse(written),
  json: { anyOf: [path.json, { const: false }, { const: "off" }] },
};

const token: Format<string> = {
  name: "token",
  needs: "a text of at least 16 characters",
  parse: ({ value, text: written }) => (value === null || written.length < 16 ? undefined : written),
  json: { type: "string", minLength: 16 },
};

/** Sections that hold scalars only: convict's part. Every key can also be given by a `PINGORA_ENTRY_...` variable. */
export const settings = {
  shutdown: object("shutdown", {
    gracePeriodSeconds: key(scalarOf(seconds(0.1)), {
      also: ["timeout", "terminationgraceperiodseconds"],
      doc: "What the pod grants from the first of preStop and SIGTERM to SIGKILL; keep it equal to terminationGracePeriodSeconds.",
      defaultText: "30; lame duck + pingora's grace_period_seconds + reserve when that is given",
      unit: "s",
    }),
    lameDuckSeconds: key(scalarOf(autoSeconds), {
      doc: "Serve on this long after the stop was asked for, while the endpoints forget this pod. auto: 5 in a pod (KUBERNETES_SERVICE_HOST is set), 0 elsewhere.",
      default: "auto" as const,
      unit: "s",
    }),
    reserveSeconds: key(scalarOf(seconds()), {
      doc: "Kept back at the end of the grace: kill and report before the container runtime does.",
      defaultText: "1; pingora's graceful_shutdown_timeout_seconds when that is given",
      unit: "s",
    }),
  }),
  readiness: object("readiness", {
    duringDrain: key(scalarOf(word(["auto", "fail", "pass"])), {
      doc: "What /readyz says in the lame duck. auto: pass while the pod is being deleted (its endpoint is not ready by itself), fail otherwise.",
      default: "auto" as const,
    }),
  }),
  admin: object("admin", {
    tcp: key(scalarOf(addressOrOff), {
      also: ["port", "address", "listen", "metrics"],
      doc: "Address of the read-only endpoints /livez, /readyz, /startupz, /metrics, /status; off for none.",
      default: "0.0.0.0:9090",
    }),
    socket: key(scalarOf(socketPath), {
      doc: "Path of the control socket, which hooks, probes and client commands use.",
      default: "/run/pingora-entry/control.sock",
    }),
    prestopToken: key(scalarOf(token), {
      doc: "Whoever presents it may call /prestop on the TCP address. Without it that is refused.",
      secret: true,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
      examples: ["${file:/run/secrets/prestop-token}"],
    }),
  }),
  log: object("log", {
    level: key(scalarOf(word(["trace", "debug", "info", "warn", "error", "fatal", "silent"], { warning: "warn" })), {
      doc: "The least important lines that are written.",
      default: "info" as const,
    }),
    format: key(scalarOf(word(["auto", "json", "pretty"])), {
      doc: "auto: pretty on a terminal, else JSON lines.",
      default: "auto" as const,
    }),
  }),
  bind: object("bind", {
    retries: key(scalarOf(count(1, 10_000)), {
      doc: "Attempts to bind an address that is in use, as pingora does.",
      default: 30,
    }),
    retryIntervalSeconds: key(scalarOf(seconds(0.001)), { doc: "Time between two attempts.", default: 1, unit: "s" }),
  }),
  upgrade: object("upgrade", {
    directory: key(scalarOf(path), {
      doc: "Where owner socket, lock and journal live. A volume that the containers of a pod share, when one takes over from the other.",
      defaultText:
        "/run/pingora-entry/upgrade: the folder upgrade beside a control.sock; beside a socket of another name, that name with .upgrade",
    }),
    probationSeconds: key(scalarOf(seconds()), {
      doc: "Both generations serve this long before the old one leaves; the new one must stay ready for as long.",
      default: 5,
      unit: "s",
    }),
    bootSeconds: key(scalarOf(seconds(0.1)), {
      doc: "A successor that is not ready within this time is refused.",
      default: 60,
      unit: "s",
    }),
    drainSeconds: key(scalarOf(seconds()), {
      doc: "What the old generation may take to end its services, once the new one is in its place.",
      defaultText: "shutdown.gracePeriodSeconds less the reserve",
      unit: "s",
    }),
    release: key(scalarOf(anyText), {
      doc: "Name of what is running, for status and metrics.",
      default: "",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
      examples: ["${RELEASE:-}"],
    }),
    maxGenerations: key(scalarOf(count(2, 4)), {
      doc: "Generations that may live at the same time: an upgrade is refused (exit code 75), or waits with --wait, while old ones still drain.",
      default: 2,
    }),
    standby: key(scalarOf(autoFlag), {
      doc: "Started without an order to take over while another generation owns the directory: true waits until it is gone, the init alone; false ends with exit code 75. The old generation of another container does the same when it has drained. auto: true in a pod.",
      default: "auto" as const,
    }),
  }),
  kubernetes: object("kubernetes", {
    enabled: key(scalarOf(autoFlag), {
      doc: "Use the Kubernetes API. auto: in a pod that has a token.",
      default: "auto" as const,
    }),
  }),
} as const;

/** Scalars at the top level, ours and pingora's. `pingora` names what the key means there. */
export const topScalars = {
  terminationMessagePath: key(scalarOf(pathOrOff), {
    doc: "File for the last words, which Kubernetes shows as the container's termination message; off for none.",
    defaultText: "/dev/termination-log when it exists",
  }),
  user: key(scalarOf({ ...text, name: "user", needs: "a user (name or number)" }), {
    doc: "User of every service that names none.",
    pingora: "user",
  }),
  group: key(scalarOf({ ...text, name: "group", needs: "a group (name or number)" }), {
    doc: "Group of every service that names none.",
    pingora: "group",
  }),
} as const;

export type Settings = { readonly [S in keyof typeof settings]: ObjectOf<(typeof settings)[S]["keys"]> };
export type TopScalars = ObjectOf<typeof topScalars>;
