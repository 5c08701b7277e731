import { count, path, seconds, text } from "../format.js";
import { socketPath } from "../format-address.js";
import { key, type ObjectOf, scalarOf } from "../shape.js";

/** Keys of pingora's ServerConf that mean here what they mean there. */
export const pingoraKeys = {
  pid_file: key(scalarOf(text), {
    doc: "File that holds the process id of pingora-entry.",
    defaultText: "none; /tmp/pingora.pid with -d",
    pingora: "pid_file",
  }),
  working_directory: key(scalarOf(path), {
    doc: "Directory of every service that names none.",
    pingora: "working_directory",
  }),
  upgrade_sock: key(scalarOf(socketPath), {
    doc: "Socket at which a new pingora, or ours with -u, waits for the sockets of the old one, which connects when it gets SIGQUIT. Set: SIGQUIT hands over instead of stopping.",
    pingora: "upgrade_sock",
  }),
  upgrade_sock_connect_accept_max_retries: key(scalarOf(count(0, 10_000)), {
    doc: "Tries to connect to upgrade_sock after the first, and to wait there, each a second.",
    pingora: "upgrade_sock_connect_accept_max_retries",
  }),
  threads: key(scalarOf(count(1, 1024)), {
    doc: "Instances of each service that has listeners and gives no number itself.",
    pingora: "threads",
  }),
  grace_period_seconds: key(scalarOf(seconds()), {
    doc: "Time from the stop signal to the kill. shutdown.gracePeriodSeconds, when given, is stronger; else it becomes lame duck + this + reserve.",
    unit: "s",
    pingora: "grace_period_seconds",
  }),
  graceful_shutdown_timeout_seconds: key(scalarOf(seconds()), {
    doc: "The last step, after the grace: shutdown.reserveSeconds, when that is not given.",
    unit: "s",
    pingora: "graceful_shutdown_timeout_seconds",
  }),
} as const;

/** Keys of pingora's ServerConf without a meaning for an entrypoint: accepted, kept, named once. */
export const pingoraIgnored: Readonly<Record<string, string>> = {
  version: "documented as the constant 1",
  daemon: "runs in the background; here the option `-d` does, which a file cannot",
  error_log: "file for stderr of the daemon; here `pingora-entry -d ... 2>>FILE`",
  daemon_wait_for_ready: "`-d` always returns when the services are ready, or have failed",
  daemon_ready_timeout_seconds: "how long it waits; here `startTimeoutSeconds` of the services",
  listener_tasks_per_fd: "accept loops are the services' own",
  work_stealing: "a scheduler of pingora's runtimes",
  ca_file: "TLS of upstream connections",
  s2n_config_cache_size: "a TLS cache",
  client_bind_to_ipv4: "source addresses of upstream connections",
  client_bind_to_ipv6: "source addresses of upstream connections",
  upstream_keepalive_pool_size: "a pool of upstream connections",
  upstream_connect_offload_threadpools: "threads for upstream connections",
  upstream_connect_offload_thread_per_pool: "threads for upstream connections",
  upstream_debug_ssl_keylog: "a key log of upstream connections",
  max_retries: "retries of upstream requests",
  max_blocking_threads: "threads of pingora's runtimes",
  blocking_threads_ttl_seconds: "threads of pingora's runtimes",
  daemon_notify_timeout_seconds: "a retry of pingora's SIGUSR1",
};

/** Of those, what the option -d is for. */
export const pingoraDaemonKeys: readonly string[] = [
  "daemon",
  "error_log",
  "daemon_wait_for_ready",
  "daemon_ready_timeout_seconds",
];

export type PingoraSettings = ObjectOf<typeof pingoraKeys>;
