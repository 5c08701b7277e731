/** What is served, where. The 404 answer lists it, the reference describes it, a test walks over it. */
export interface Endpoint {
  readonly path: string;
  readonly methods: readonly ("GET" | "POST")[];
  /** HEAD is answered where GET is, unless asking does something */
  readonly head?: false;
  /** `both`: on TCP and on the control socket */
  readonly where: "both" | "control";
  readonly says: string;
}

export const endpoints: readonly Endpoint[] = [
  { path: "/", methods: ["GET"], where: "both", says: "status page" },
  { path: "/livez", methods: ["GET"], where: "both", says: "200 while the supervisor works; ?verbose, ?exclude=CHECK" },
  {
    path: "/readyz",
    methods: ["GET"],
    where: "both",
    says: "200 when the required services are ready; /readyz/CHECK for one",
  },
  { path: "/startupz", methods: ["GET"], where: "both", says: "200 once they all have been ready" },
  { path: "/metrics", methods: ["GET"], where: "both", says: "Prometheus text or OpenMetrics, by Accept" },
  { path: "/status", methods: ["GET"], where: "both", says: "everything known, as JSON" },
  { path: "/events", methods: ["GET"], where: "both", says: "transitions and snapshots as server-sent events" },
  {
    path: "/prestop",
    methods: ["GET", "POST"],
    head: false,
    where: "control",
    says: "begins the drain; answers when the pod may go on",
  },
  { path: "/v1/phase", methods: ["GET"], where: "control", says: "the phase, one word" },
  { path: "/v1/events", methods: ["GET"], where: "control", says: "as /events" },
  {
    path: "/v1/logs",
    methods: ["GET"],
    head: false,
    where: "control",
    says: "output of services; ?service=, ?tail=, ?follow",
  },
  { path: "/v1/services/NAME/start", methods: ["POST"], where: "control", says: "answers when it is ready" },
  { path: "/v1/services/NAME/stop", methods: ["POST"], where: "control", says: "answers when it has ended" },
  { path: "/v1/services/NAME/restart", methods: ["POST"], where: "control", says: "answers when it is ready again" },
  { path: "/v1/services/NAME/signal", methods: ["POST"], where: "control", says: "?signal=HUP&scope=child|group|tree" },
  {
    path: "/v1/upgrade",
    methods: ["POST"],
    where: "control",
    says: "replaces this generation; JSON lines until it is known who serves",
  },
  { path: "/v1/upgrade/terminal", methods: ["POST"], where: "control", says: "as /v1/upgrade, in the command's words" },
];

/** The list as text, for whoever asked for something that does not exist. */
export function endpointList(where: "tcp" | "control"): string {
  const served = endpoints.filter((endpoint) => where === "control" || endpoint.where === "both");
  const width = Math.max(...served.map(({ path }) => path.length));
  return served
    .map(({ path, methods, says }) => `  ${methods.join("|").padEnd(9)}${path.padEnd(width)}  ${says}\n`)
    .join("");
}
