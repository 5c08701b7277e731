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

export const answerSeeds: readonly Buffer[] = [
  "#9f2c\n>LEASE      lent to generation 2\n>replaced after 5.2 s: generation 2 serves\n=0\n",
  "#\n>wait       another upgrade is under way\n!pingora-entry: cannot upgrade now\n=75\n",
  "?new\n=256\n=1x\n\n>\n!",
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
    step(1, "HOLD\0a\0"),
    step(1, "SPAWN\0web.1\0held=3:a\0fd=4:0\0held=5:a\0a=sh\0"),
    step(0, "RELEASE\0a\0"),
    step(0, "SPAWN\0web.2\0held=3:a\0a=sh\0"),
    step(0, "SPAWN\0web.3\0held=3:a\0held=3:b\0a=sh\0"),
    step(0, "SPAWN\0web.4\0held=3:\0a=sh\0"),
  ]),
  // 234: descriptors were lost
  Buffer.concat([
    step(234, spawn),
    step(235, spawn),
    step(234, "HOLD\0a\0"),
    step(234, "*\0"),
    step(234, "NONE\0"),
    step(234, "SPAWN\0"),
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
  Buffer.concat([
    step(0, "SUCCESSOR\0e=A=b\0a=node\0"),
    step(10, 1),
    step(12, 0),
    step(1, spawn),
    step(1, "HOLD\0a\0"),
    step(0, "OWN\0"),
    step(0, "ABANDON\x001\0"),
    step(11, 0),
    step(6, 15),
    step(0, "READY\0"),
  ]),
  Buffer.concat([
    step(0, "SUCCESSOR\0a=x\0"),
    step(0, "SUCCESSOR\0a=y\0"),
    step(0, "ABANDON\x002\0"),
    step(7, 0),
    step(11, 1),
    step(12, 0),
    step(7, 100),
    step(0, "SUCCESSOR\0"),
  ]),
  Buffer.concat([step(1, "STANDBY\0"), step(0, "REPLACE\0/new\0"), step(2, "STANDBY\0"), step(0, "STANDBY\0")]),
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

/** Records of an init's state, as state.h has them. */
const record = (verb: string, ...fields: readonly string[]) =>
  `${verb}\0${fields.map((field) => `${field}\0`).join("")}\0`;

const state = record("STATE", "version=1");
const whole = record(
  "INIT",
  "mask=0",
  "nofile-soft=1024",
  "nofile-hard=-1",
  "boot=00ff",
  "last-line=9",
  "primary=1",
  "unknown=x",
);
const line = record(
  "LINE",
  "slot=0",
  "number=1",
  "state=1",
  "was-primary=1",
  "channel=9",
  "last-sequence=7",
  "enabled=1",
  "pid=8",
  "program=10",
  "step=6",
  "death-9=5",
  "answer=HELD",
  "answer=web",
  "answer-replace=ERROR",
  "answer-replace=",
);
const child = record(
  "CHILD",
  "line=1",
  "slot=3",
  "state=3",
  "pid=77",
  "reaped=1",
  "owes-exit=1",
  "id=web.1",
  "stage=exec",
);

export const stateSeeds: readonly Buffer[] = [
  state + whole + line + child + record("OWE", "slot=3"),
  state +
    whole +
    line +
    record("LINE", "slot=3", "number=2", "state=1", "start-pipe=12", "stop-begun=1") +
    record("SIGNAL", "line=1", "sequence=7", "number=15", "sender=1", "user=0", "received=5", "sent=0") +
    record("CHILD", "line=2", "slot=0", "state=1", "pid=5", "start-pipe=13", "id=2:web") +
    record("HELD", "line=2", "slot=1", "kind=1", "fd=14", "name=state") +
    record("LINE", "slot=1", "number=3", "lock=15", "waiter=3", "state=1") +
    record("FUTURE", "a=b"),
  state + whole + record("LINE", "slot=1", "number=4", "state=2") + line + child,
  record("STATE", "version=9") + line,
].map(latin1);
