import { count, flag, mode, text, word } from "../format.js";
import { listenAddress, socketPath } from "../format-address.js";
import { key, type ObjectOf, object, scalarOf } from "../shape.js";

export const listener = object("listener", {
  tcp: key(scalarOf(listenAddress), {
    also: ["port", "address", "listen", "bind"],
    doc: 'TCP address: "host:port", ":port" or a port (every IPv4 address), "[::]:port" (every address). A listener has exactly one of tcp, udp and unix.',
    examples: ["0.0.0.0:8080", "[::]:8080", 8080],
  }),
  udp: key(scalarOf(listenAddress), { doc: "UDP address, written like tcp.", examples: ["0.0.0.0:5353"] }),
  unix: key(scalarOf(socketPath), {
    doc: "Path of a unix socket. A stale file is replaced, a living socket never.",
    examples: ["/run/app/app.sock"],
  }),
  type: key(scalarOf(word(["stream", "seqpacket", "dgram"])), {
    doc: "Kind of unix socket.",
    default: "stream" as const,
  }),
  mode: key(scalarOf(mode), { doc: "File mode of a unix socket, octal.", default: 0o660 }),
  backlog: key(scalarOf(count(1, 65535)), {
    doc: "Length of the accept queue; the kernel caps it at net.core.somaxconn.",
    default: 65535,
  }),
  reusePort: key(scalarOf(flag), { doc: "SO_REUSEPORT: other processes may bind the same address.", default: false }),
  ipv6Only: key(scalarOf(flag), { doc: "An IPv6 socket takes no IPv4 connections.", default: false }),
  passAs: key(scalarOf(word(["systemd", "nginx", "stdin", "env", "adopt"])), {
    doc: "How the service learns of it. systemd: LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID; nginx: NGINX; stdin: as file descriptor 0 (inetd); env: a variable holds the number; adopt: not at all, a preloaded library gives it the socket when it binds the same address.",
    default: "systemd" as const,
  }),
  envName: key(scalarOf({ ...text, name: "variable", needs: "the name of a variable" }), {
    doc: "For passAs env: the variable that holds the descriptor's number.",
    defaultText: "LISTEN_FD_ and the name in capitals",
  }),
});

export type WrittenListener = ObjectOf<(typeof listener)["keys"]>;
