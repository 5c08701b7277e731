/**
 * One of the variables that Kubernetes sets in a pod for each Service of its namespace (enableServiceLinks): a Service whose name begins with
 * pingora-entry gives PINGORA_ENTRY_... ones. The init (src/native/init/service_link.c) judges alike.
 */
export function isServiceLink(name: string, value: string): boolean {
  return (
    /_SERVICE_(HOST|PORT)$|_SERVICE_PORT_|_PORT_\d+_/.test(name) || (name.endsWith("_PORT") && value.includes("://"))
  );
}
