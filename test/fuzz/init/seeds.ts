/** Starting points for the fuzzers: one of each kind that a parser tells apart. */

const latin1 = (text: string) => Buffer.from(text, "latin1");

/** First byte: the size of the pieces in which it is fed. */
export const httpSeeds: readonly Buffer[] = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n",
  "HTTP/1.0 200 OK\r\n\r\nto the end",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 200 OK\nContent-Length: 18446744073709551615\n\nx",
].map((text) => latin1(`\x03${text}`));

/** Steps of orders_fuzz.c: an opcode, a length or value, bytes. */
function step(opcode: number, value: number | string): Buffer {
  if (typeof value === "number") return Buffer.from([opcode, value]);
  const bytes = latin1(value);
  return Buffer.concat([Buffer.from([opcode, bytes.length]), bytes]);
}

const spawn =
  "SPAWN\0web.1\0session=1\0tty=0\0fd=3:0\0rlimit=nofile:1:-1\0nice=1\0oom=2\0umask=022\0gid=1\0groups=1,2\0uid=1\0cwd=/\0pidenv=P\0e=A=b\0a=sh\0a=x\0";

export const orderSeeds: readonly Buffer[] = [
  Buffer.concat([
    step(1, spawn),
    step(4, 0),
    step(5, 3),
    step(0, "FORGET\0web.1\0"),
    step(0, spawn),
    step(4, 1),
    step(9, 0),
  ]),
  Buffer.concat([
    step(1, "HOLD\0a\0"),
    step(1, "STATE\0s\0"),
    step(9, 0),
    step(7, 1),
    step(0, "HELLO\x001\0"),
    step(7, 9),
    step(0, "RELEASE\0a\0"),
  ]),
  Buffer.concat([
    step(0, "READY\0"),
    step(6, 14),
    step(6, 1),
    step(0, "ACK\x001\0"),
    step(7, 0),
    step(8, 1),
    step(7, 200),
    step(0, "GRACE\x0099\0"),
  ]),
  Buffer.concat([
    step(0, "SIGNAL\x007\0web.1\x0015\0tree\0"),
    step(0, "BACKSTOP\0-\x001\0"),
    step(0, "BACKSTOP\x0012\x0099\0"),
    step(0, "EXIT\x003\0"),
  ]),
  Buffer.concat([
    step(1, spawn),
    step(0, "FORGET\0web.1\0"),
    step(5, 0),
    step(1, spawn),
    step(5, 0),
    step(9, 1),
    step(0, "HELLO\x001\0"),
    step(0, "FORGET\0web.1\0"),
  ]),
];

/** Words, each ended by a NUL. */
export const optionSeeds: readonly Buffer[] = [
  ["--rewrite", "TERM:QUIT", "--rewrite=15:0", "--remap-exit", "143", "--", "sh", "-c", "x"],
  ["--stop-delay=0.5", "--reap-grace", "2", "--parent-death-signal", "SIGKILL", "--subreaper", "sh"],
  ["-c", "file", "-dtu", "-cfile", "run", "--conf=x", "--warn-on-reap", "--no-group", "--verbose", "--test", "-hV"],
  ["--rewrite", "RTMIN+3:KILL", "--remap-exit=999", "--stop-delay", "soon", "-x", "--bogus", "-"],
].map((words) => latin1(`${words.join("\0")}\0`));

/** First byte: odd for a stat (parent, group, bytes to cut off, name), even for an environment (mark, size of the pieces, elements). */
export const procSeeds: readonly Buffer[] = [
  "\x01\x07\x02\0sh",
  "\x01\x07\x02\0) S 1 2 3 (x",
  "\x01\x07\x02\x14a) R 9",
  "\x02\x00\x05A=b\0B=c\0",
  "\x02\x01\x03PATH=/bin\0PINGORA_ENTRY_ID=web.01\0PINGORA_ENTRY_ID=web.0\0",
  "\x02\x02\x01AAAB\0AAB",
].map(latin1);
