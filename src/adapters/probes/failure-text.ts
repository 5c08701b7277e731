/** Why a connection to `where` failed, in an operator's words. */
export function connectFailure(error: unknown, where: string): string {
  const code = codeOf(error);
  switch (code) {
    case "ECONNREFUSED":
      return `connection refused on ${where}`;
    case "ECONNRESET":
    case "EPIPE":
      return `connection closed by ${where} before it answered`;
    case "ENOENT":
      return `no socket at ${where}`;
    case "EACCES":
    case "EPERM":
      return `permission denied on ${where}`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `cannot resolve the host of ${where}`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EADDRNOTAVAIL":
      return `no route to ${where}`;
    case "EPROTOTYPE":
    case "ENOTSOCK":
      return `${where} is no stream socket`;
    case "EMFILE":
    case "ENFILE":
      return "this process has no file descriptor left";
    default:
      return `${where}: ${code ?? (error instanceof Error ? error.message : String(error))}`;
  }
}

/** The errno name of a system error; of the first of several (a host with several addresses). */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** "127.0.0.1:80", "[::1]:80" */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
