/** What the init knows one asking of a probe of the process `id` by. Named by the instant, milliseconds: unique over supervisors, too. */
export function probeId(id: string, probe: "startup" | "readiness" | "liveness", at: number): string {
  return `${id}!${probe}${Math.trunc(at)}`;
}

/** Whether `probeId` has made it. */
export function isProbeId(id: string): boolean {
  return /!(?:startup|readiness|liveness)\d+$/.test(id);
}
