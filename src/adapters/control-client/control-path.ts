/** Where the control socket of the running instance is, and who said so. */
export interface ControlPath {
  readonly path: string;
  readonly from: "--socket" | "PINGORA_ENTRY_ADMIN_SOCKET" | "default";
}

/** The same rule as the native healthcheck and prestop: option, variable, default. */
export function controlPath(
  option: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): ControlPath {
  if (option !== undefined) return { path: option, from: "--socket" };
  const variable = env.PINGORA_ENTRY_ADMIN_SOCKET;
  if (variable !== undefined && variable !== "") return { path: variable, from: "PINGORA_ENTRY_ADMIN_SOCKET" };
  return { path: "/run/pingora-entry/control.sock", from: "default" };
}
