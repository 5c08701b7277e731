/** Three services in a row. */
export const shop = {
  services: {
    migrate: { command: ["./migrate"], type: "oneshot" },
    cache: { command: ["cache"], dependsOn: ["migrate"], stop: { graceSeconds: 5 } },
    web: { command: ["web"], dependsOn: { cache: "ready" }, listeners: ["http"], stop: { graceSeconds: 15 } },
  },
  listeners: { http: { tcp: "0.0.0.0:8080" }, dns: { udp: 5353 }, local: { unix: "/run/app/local.sock" } },
};

/** Has a wave without a grace of its own. */
export const withLog = {
  ...shop,
  services: {
    log: { command: ["log"] },
    ...shop.services,
    cache: { ...shop.services.cache, dependsOn: ["migrate", "log"] },
  },
};
