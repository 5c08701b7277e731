import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { systemClock } from "../../../src/adapters/clock/clock.js";
import { openHandover } from "../../../src/adapters/handover/handover.js";
import { native } from "../../../src/adapters/native/addon.js";
import { EntryError } from "../../../src/core/entry-error.js";
import { encodeHandoverFrame } from "../../../src/core/handover-codec.js";
import { columnsOf, type OfferedSocket } from "../../../src/core/handover-frame.js";
import { eventually } from "../eventually.js";
import {
  endOf,
  isHeld,
  journalOf,
  oldAndNew,
  Peer,
  quick,
  reasonOf,
  removeProgram,
  sweep,
  upgradeDirectory,
} from "./stage.js";

const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await sweep();
});
after(removeProgram);

const root = process.getuid?.() === 0;
const facts = { generation: 1, release: "", build: "", pid: 1, nonce: "n", slot: "", attempt: "a" };
const hello = encodeHandoverFrame({ type: "HELLO", role: "new", versions: { min: 1, max: 1 }, facts });
const lease = encodeHandoverFrame({ type: "LEASE" });

async function owner(more: object = {}): Promise<{ old: Peer; directory: string; address: string }> {
  const directory = upgradeDirectory();
  const old = new Peer({ role: "old", name: "first", directory, listeners: 3, times: quick, ...more });
  const { address } = await old.at("owner");
  return { old, directory, address: String(address) };
}

function knock(directory: string, ...chunks: readonly Uint8Array[]): Promise<Socket> {
  return new Promise((done, fail) => {
    const socket = connect(join(directory, "owner.sock"));
    sockets.add(socket);
    socket.on("connect", () => {
      for (const chunk of chunks) socket.write(chunk);
      done(socket);
    });
    socket.on("error", fail);
  });
}

/** what an offer says of so many sockets */
function listenersOf(count: number): OfferedSocket[] {
  const common = { key: "k", family: "inet", type: "stream", address: "127.0.0.1:1", inode: 1 } as const;
  return Array.from({ length: count }, (_, i) => ({
    ...common,
    name: `l${i}`,
    backlog: 1,
    reusePort: false,
    listening: true,
  }));
}

const closed = (socket: Socket) =>
  new Promise<void>((done) => {
    socket.on("error", () => {});
    socket.on("close", () => done());
    socket.resume();
  });

function descriptorsOf(peer: Peer): number {
  return readdirSync(`/proc/${peer.process.pid}/fd`).length;
}

const residentKb = (peer: Peer) =>
  Number(/VmRSS:\s+(\d+)/.exec(execFileSync("cat", [`/proc/${peer.process.pid}/status`], { encoding: "utf8" }))?.[1]);

async function takesOver(directory: string): Promise<void> {
  const next = new Peer({ role: "new", name: "next", attempt: "next", directory, times: quick });
  await next.at("owner");
  assert.equal(journalOf(directory).owner.nonce, "next");
}

test("garbage, silence and half a frame are closed within their deadlines and leave nothing", async () => {
  const { old, directory } = await owner();
  const before = descriptorsOf(old);
  const odd: readonly (readonly Uint8Array[])[] = [
    [],
    [Buffer.alloc(4)],
    [Buffer.from([255, 255, 255, 255])],
    [Buffer.from([0, 0, 0, 100]), Buffer.from("{")],
    [Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    [hello.subarray(0, 20)],
    [hello, hello],
    [hello],
    [lease],
    [hello, encodeHandoverFrame({ type: "OWNED" })],
    [encodeHandoverFrame({ type: "HELLO", role: "old", versions: { min: 1, max: 1 }, facts })],
    [
      encodeHandoverFrame({
        type: "HELLO",
        role: "new",
        versions: { min: 1, max: 1 },
        facts: { ...facts, nonce: "first" },
      }),
    ],
    [encodeHandoverFrame({ type: "ABORT", reason: "no", cause: "other" })],
  ];
  await Promise.all(odd.map(async (chunks) => closed(await knock(directory, ...chunks))));
  await eventually(() => descriptorsOf(old) === before);
  assert.equal(old.has("asked"), false);
  await takesOver(directory);
});

test("descriptors that belong to no frame are closed, and so is whoever sent them", async () => {
  const { old, directory } = await owner();
  const before = descriptorsOf(old);
  const { socket, connectUnix, sendmsg, recvmsg, close, constants: c } = native();
  for (const bytes of [hello, Buffer.from([0, 0, 1, 0]), Buffer.from("x")]) {
    const fd = socket(c.AF_UNIX, c.SOCK_STREAM);
    connectUnix(fd, join(directory, "owner.sock"));
    sendmsg(fd, bytes, new Array(253).fill(fd));
    const buffer = Buffer.alloc(65_536);
    await eventually(() => {
      try {
        return recvmsg(fd, buffer)?.length === 0;
      } catch {
        return true;
      }
    });
    close(fd);
  }
  await eventually(() => descriptorsOf(old) === before);
  await takesOver(directory);
});

test("a candidate that gets a lease and then says nothing, or lies, ends and OLD stays", async () => {
  const { old, directory } = await owner({ times: { ...quick, offerMs: 300, claimMs: 300 } });
  const ends: string[] = [];
  const lies = [
    [],
    [encodeHandoverFrame({ type: "BATCH", batch: 7 })],
    [
      encodeHandoverFrame({ type: "BATCH", batch: 1 }),
      encodeHandoverFrame({ type: "CLAIM", taken: 9, unknown: [], missing: [] }),
    ],
    [encodeHandoverFrame({ type: "READY", stopFirst: [] })],
    [encodeHandoverFrame({ type: "FINALIZE" })],
  ];
  for (const [i, lie] of lies.entries()) {
    const named = { ...facts, attempt: `lie${i}` };
    const first = encodeHandoverFrame({ type: "HELLO", role: "new", versions: { min: 1, max: 1 }, facts: named });
    const socket = await knock(directory, first, lease);
    const over = closed(socket);
    await eventually(() => old.said.filter(({ at }) => at === "granted").length === i + 1);
    for (const chunk of lie) socket.write(chunk);
    await over;
    await eventually(() => old.said.filter(({ at }) => at === "ended").length === i + 1);
    ends.push(
      ...old.said
        .filter(({ at }) => at === "ended")
        .slice(-1)
        .map(endOf),
    );
  }
  assert.deepEqual(
    ends,
    lies.map(() => "failed"),
  );
  await takesOver(directory);
});

test("10,000 connections leave no descriptor and no memory, and a candidate still gets through", async () => {
  const { old, directory, address } = await owner();
  const [before, memory] = [descriptorsOf(old), residentKb(old)];
  for (let round = 0; round < 100; round++) {
    const some = await Promise.all(
      Array.from({ length: 100 }, () => knock(directory, hello.subarray(0, 10)).catch(() => undefined)),
    );
    for (const socket of some) socket?.destroy();
  }
  await eventually(() => descriptorsOf(old) === before);
  assert.ok(residentKb(old) < memory + 40_000, `${memory} KiB, then ${residentKb(old)} KiB`);
  assert.equal(await isHeld(address), true);
  await takesOver(directory);
});

for (const [how, chunks] of [
  ["say nothing", []],
  ["say who they are", [hello]],
] as const)
  test(`a process that takes every place again and again keeps no candidate out: its connections ${how}`, async () => {
    const { old, directory } = await owner();
    const before = descriptorsOf(old);
    const over = new AbortController();
    const hold = async () => {
      while (!over.signal.aborted) {
        const socket = await knock(directory, ...chunks).catch(() => undefined);
        if (socket === undefined) await new Promise((wake) => setTimeout(wake, 20));
        else await closed(socket);
      }
    };
    for (let i = 0; i < 80; i++) void hold();
    await eventually(() => descriptorsOf(old) >= before + 8);
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, descriptorsOf(old) - before);
    }, 5);
    try {
      await takesOver(directory);
    } finally {
      clearInterval(watch);
      over.abort();
    }
    // the candidate's has descriptors of the sockets beside it
    assert.ok(most < 16, `${most} descriptors`);
  });

test("another user is turned away before it can say a word, unless it is allowed", {
  skip: !root && "needs root",
}, async () => {
  const directory = upgradeDirectory();
  // as Kubernetes makes a volume with fsGroup: what is made in it belongs to the group, too
  chownSync(directory, 0, 65_534);
  chmodSync(directory, 0o2770);
  for (const [allowed, step] of [
    [[], "refused"],
    [[65_534], "owner"],
  ] as const) {
    const old = new Peer({ role: "old", name: `first${step}`, directory, times: quick, allowedUids: allowed });
    await old.at("owner");
    const other = new Peer(
      {
        role: "new",
        name: `other${step}`,
        attempt: step,
        directory,
        times: quick,
        allowedUids: step === "owner" ? [0] : [],
      },
      { uid: 65_534 },
    );
    await other.at(step);
    await old.kill();
    await other.kill();
  }
});

test("versions are negotiated: N-1 to N and N to N+1 both ways, and none in common is a refusal in words", async () => {
  const ranges = [
    [{ min: 1, max: 1 }, { min: 1, max: 2 }, true],
    [{ min: 1, max: 2 }, { min: 1, max: 1 }, true],
    [{ min: 2, max: 3 }, { min: 1, max: 2 }, true],
    [{ min: 1, max: 1 }, { min: 2, max: 3 }, false],
    [{ min: 2, max: 3 }, { min: 1, max: 1 }, false],
  ] as const;
  for (const [ours, theirs, fits] of ranges) {
    const stage = await oldAndNew({ old: { versions: ours }, new: { versions: theirs } });
    const result = await stage.new.at("owner", "refused", "nobody");
    assert.equal(result.at === "owner", fits, JSON.stringify(result));
    if (!fits) {
      assert.match(JSON.stringify(result), /speaks versions/);
      assert.equal(journalOf(stage.directory).attempt, undefined);
      assert.equal(stage.old.has("asked"), false);
    }
    await sweep();
  }
});

test("a NEW that may not open enough files refuses in words before anything changes", async () => {
  const directory = upgradeDirectory();
  const old = new Peer({ role: "old", name: "first", directory, listeners: 300, times: quick });
  const { address } = await old.at("owner");
  const poor = new Peer(
    { role: "new", name: "poor", directory, times: quick },
    { command: ["/bin/sh", "-c", 'ulimit -n 200; exec "$0" "$@"'] },
  );
  const said = JSON.stringify(await poor.at("refused"));
  assert.match(said, /300 sockets do not fit: this process may open 200 files/);
  assert.match(reasonOf(await old.at("ended")), /do not fit/);
  assert.equal(await isHeld(String(address)), true);
  await takesOver(directory);
});

test("a NEW that may not open enough files says so, also when the sockets are there with the word that they come", async () => {
  const directory = upgradeDirectory();
  const server = createServer().listen(join(directory, "owner.sock"));
  try {
    const poor = new Peer(
      { role: "new", name: "poor", directory, times: quick },
      { command: ["/bin/sh", "-c", 'ulimit -n 200; exec "$0" "$@"'] },
    );
    const [socket] = (await once(server, "connection")) as [Socket & { readonly _handle: { readonly fd: number } }];
    sockets.add(socket);
    socket.on("error", () => {});
    socket.write(encodeHandoverFrame({ type: "HELLO", role: "old", versions: { min: 1, max: 1 }, facts }));
    let heard = "";
    while (!heard.includes("LEASE")) heard += String(((await once(socket, "data")) as [Buffer])[0]);
    poor.process.kill("SIGSTOP");
    const offered = listenersOf(253);
    const { sendmsg } = native();
    sendmsg(socket._handle.fd, encodeHandoverFrame({ type: "GRANTED", sockets: 300 }), []);
    const offer = { type: "OFFER", batch: 1, batches: 2, sockets: columnsOf(offered) } as const;
    const place = socket._handle.fd;
    sendmsg(place, encodeHandoverFrame(offer), new Array(253).fill(place));
    poor.process.kill("SIGCONT");
    const said = JSON.stringify(await poor.at("refused"));
    assert.match(said, /300 sockets do not fit: this process may open 200 files/);
  } finally {
    server.close();
  }
});

test("a full disk is a refusal with its reason, and a decision finds the room that was kept for it", {
  skip: !root && "needs root",
}, async () => {
  const directory = upgradeDirectory();
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", directory]).status !== 0) return;
  const fill = () => spawnSync("sh", ["-c", `cat /dev/zero > ${join(directory, "filler")}`]);
  const free = () => spawnSync("rm", [join(directory, "filler")]);
  try {
    const old = new Peer({ role: "old", name: "first", directory, times: quick, hold: ["ready", "probation"] });
    await old.at("owner");
    fill();
    const early = new Peer({ role: "new", name: "early", attempt: "early", directory, times: quick });
    assert.match(JSON.stringify(await early.at("refused")), /ENOSPC/);
    assert.match(reasonOf(await old.at("ended")), /ENOSPC/);
    free();
    const late = new Peer({ role: "new", name: "late", attempt: "late", directory, times: quick });
    await old.at("ready");
    fill();
    old.go();
    assert.match(reasonOf(await late.at("ended")), /ENOSPC/);
    assert.equal(journalOf(directory).owner.nonce, "first");
    free();
    const third = new Peer({ role: "new", name: "third", attempt: "third", directory, times: quick });
    await old.at("probation");
    fill();
    await third.kill();
    await eventually(() => journalOf(directory).attempt?.state === "failed");
    assert.equal(journalOf(directory).owner.nonce, "first");
  } finally {
    spawnSync("umount", ["-l", directory]);
  }
});

test("stale files are no obstacle, and a live owner is never displaced", async () => {
  const { old, directory } = await owner();
  const second = new Peer({ role: "old", name: "second", directory, times: quick });
  await second.at("held");
  await old.kill();
  writeFileSync(join(directory, ".owner.1.1"), "");
  writeFileSync(join(directory, "journal.json"), '{"version":1,"own');
  assert.equal(existsSync(join(directory, "owner.sock")), true);
  const dialled = new Peer({ role: "new", name: "lonely", directory, times: quick });
  await dialled.at("nobody");
  const third = new Peer({ role: "old", name: "third", directory, times: quick });
  assert.equal((await third.at("owner")).journal, "third");
  assert.equal(existsSync(join(directory, ".owner.1.1")), false);
  await takesOver(directory);
});

test("openHandover refuses a directory that others may write in, a link, a file and a path that is too long", () => {
  const directory = upgradeDirectory();
  const open = (path: string) => () => openHandover({ directory: path, clock: systemClock });
  const wide = join(directory, "wide");
  mkdirSync(wide);
  chmodSync(wide, 0o777);
  assert.throws(open(wide), /everybody may write/);
  writeFileSync(join(directory, "file"), "");
  assert.throws(open(join(directory, "file")), EntryError);
  symlinkSync(directory, join(directory, "link"));
  assert.throws(open(join(directory, "link")), /no directory/);
  assert.throws(open(`/tmp/${"x".repeat(100)}`), /at most \d+ leave room/);
  open(join(directory, "made/below"))();
  assert.equal(readdirSync(join(directory, "made"))[0], "below");
});
