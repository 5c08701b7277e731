import { images } from "./cluster.js";

export interface PodOptions {
  readonly image?: string;
  /** config.yaml, in a ConfigMap */
  readonly config?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly graceSeconds?: number;
  readonly restartPolicy?: "Always" | "Never";
  /** added to the container, or in place of what it has */
  readonly container?: object;
}

/** A pod that passes "restricted", with the probes and the hook that the documentation tells to use; its ConfigMap before it. */
export function podWith(name: string, options: PodOptions): object[] {
  const {
    image = images.entry,
    config,
    command,
    args,
    graceSeconds = 30,
    restartPolicy = "Always",
    container,
  } = options;
  const probes = {
    startupProbe: { httpGet: { path: "/startupz", port: 9090 }, periodSeconds: 1, failureThreshold: 120 },
    readinessProbe: { httpGet: { path: "/readyz", port: 9090 }, periodSeconds: 1, failureThreshold: 1 },
    livenessProbe: {
      httpGet: { path: "/livez", port: 9090 },
      periodSeconds: 1,
      timeoutSeconds: 1,
      failureThreshold: 3,
    },
    lifecycle: { preStop: { exec: { command: ["pingora-entry", "prestop", "--timeout", "4"] } } },
  };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: name } },
    spec: {
      restartPolicy,
      terminationGracePeriodSeconds: graceSeconds,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      dnsPolicy: "Default",
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        fsGroup: 65532,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: "app",
          image,
          imagePullPolicy: "Never",
          ...(command === undefined ? {} : { command }),
          ...(args === undefined ? {} : { args }),
          env: [{ name: "PINGORA_ENTRY_SHUTDOWN_GRACE_PERIOD_SECONDS", value: String(graceSeconds) }],
          ...(config === undefined ? {} : probes),
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
          volumeMounts: [
            { name: "run", mountPath: "/run/pingora-entry" },
            { name: "tmp", mountPath: "/tmp" },
            ...(config === undefined ? [] : [{ name: "config", mountPath: "/etc/pingora-entry" }]),
          ],
          ...container,
        },
      ],
      volumes: [
        { name: "run", emptyDir: { medium: "Memory" } },
        { name: "tmp", emptyDir: {} },
        ...(config === undefined ? [] : [{ name: "config", configMap: { name } }]),
      ],
    },
  };
  if (config === undefined) return [pod];
  return [{ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { "config.yaml": config } }, pod];
}

/** A service that says when it starts, is told to end, and ends, with the kernel's clock; ending takes 0.3 s. */
export function speaking(name: string): string {
  const say = (event: string): string => `read -r t _ </proc/uptime; echo ${name} ${event} $t`;
  const text = `trap '${say("term")}; sleep 0.3; ${say("end")}; exit 0' TERM; ${say("start")}; while :; do sleep 60 & wait $!; done`;
  return JSON.stringify(["sh", "-c", text]);
}

export interface Said {
  readonly name: string;
  readonly event: string;
  /** seconds since the machine started */
  readonly at: number;
}

/** What `speaking` services said, in the order of their clocks. */
export function said(log: string): Said[] {
  return [...log.matchAll(/^(\w+) (start|term|end) ([\d.]+)$/gm)]
    .map(([, name = "", event = "", at]) => ({ name, event, at: Number(at) }))
    .sort((a, b) => a.at - b.at);
}
