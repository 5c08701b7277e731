import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { impossibleAdoptions } from "./adoption-possible.js";
import { loadPlan } from "./load-plan.js";

const directory = mkdtempSync(join(tmpdir(), "pingora-entry-adoption-"));
// whoever a service runs as
chmodSync(directory, 0o755);
after(() => rmSync(directory, { recursive: true, force: true }));

const library = file("adopt.so", "");

function file(name: string, content: string | Buffer, mode = 0o755): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

function compiled(name: string, ...flags: readonly string[]): string {
  const source = file("main.c", "int main(void) { return 0; }\n");
  const output = join(directory, name);
  execFileSync(process.env.CC ?? "cc", [source, "-o", output, ...flags]);
  return output;
}

async function warned(
  command: readonly string[],
  { passAs = "adopt", more = "", preload = library }: { passAs?: string; more?: string; preload?: string } = {},
): Promise<string | undefined> {
  const text = `listeners: { http: { tcp: 8080, passAs: ${passAs} } }
services: { web: { command: ${JSON.stringify(command)}, listeners: [http]${more} } }
`;
  const env = { PATH: `${directory}:${process.env.PATH}` };
  const loaded = await loadPlan({ env, texts: [{ name: "test.yaml", text }] });
  const problems = impossibleAdoptions(loaded, { env, own: { uid: 0, gid: 0 }, library: preload });
  assert.ok(problems.every(({ path, source }) => path === "services.web.command" && source?.line === 2));
  return problems.map(({ message }) => message).join("\n") || undefined;
}

test("impossibleAdoptions says nothing when the program is loaded by glibc's or musl's loader, or is not here", async () => {
  const dynamic = compiled("dynamic");
  const bytes = readFileSync(dynamic);
  const at = bytes.indexOf("/lib64/ld-");
  bytes.fill(0, at, bytes.indexOf(0, at));
  bytes.write("/lib/ld-musl-x86_64.so.1", at);
  for (const program of [dynamic, "dynamic", file("musl", bytes), "no-such-program", library])
    assert.equal(await warned([program]), undefined, program);
});

test("impossibleAdoptions warns of a static program, and of a script whose interpreter is one, by way of env, too", async () => {
  const program = compiled("static", "-static");
  const why = `cannot adopt "http": ${program} is a static program, into which nothing can be preloaded; only a program that it starts can`;
  assert.equal(await warned([program, "x"]), why);
  assert.equal(await warned([program], { passAs: "systemd" }), undefined);
  assert.equal(await warned([file("script", `#! ${program} -x y\n`)]), why);
  assert.equal(await warned([file("script of script", `#!${join(directory, "script")}\n`)]), why);
  assert.equal(await warned([file("by-env", "#!/usr/bin/env -S A=b static -u\n")]), why);
  assert.equal(await warned([file("itself", `#!${join(directory, "itself")}\n`)]), undefined);
});

test("impossibleAdoptions warns of setuid and setgid programs unless they are the service's own user's", async () => {
  const program = join(directory, "raised");
  const stranger = ', user: "12345:12345"';
  copyFileSync(compiled("plain"), program);
  chmodSync(program, 0o4755);
  assert.equal(process.getuid?.() === 0 ? await warned([program]) : undefined, undefined);
  assert.match((await warned([program], { more: stranger })) ?? "", /is setuid, and the loader preloads nothing/);
  chmodSync(program, 0o2755);
  assert.equal(process.getgid?.() === 0 ? await warned([program]) : undefined, undefined);
  assert.match((await warned([program], { more: stranger })) ?? "", /is setgid/);
});

/** lengths of its name and descriptor, type, name */
const abiNote = Buffer.from("\x04\0\0\0\x10\0\0\0\x01\0\0\0GNU\0", "latin1");

test("impossibleAdoptions warns of Go, of 32 bits, of a strange loader, and when the library is missing", async () => {
  const bytes = readFileSync(compiled("other"));
  const thirtyTwo = Buffer.from(bytes);
  thirtyTwo[4] = 1;
  assert.match((await warned([file("32", thirtyTwo)])) ?? "", /32 is a 32-bit program, the library has 64/);
  const strange = Buffer.from(bytes);
  strange.write("ld-other", bytes.indexOf("ld-linux"));
  assert.match((await warned([file("strange", strange)])) ?? "", /is loaded by .*ld-other.*neither glibc's nor musl's/);
  // a note, under Go's name: the only one of its segment, and, as cgo has it, the last, which is the ABI's
  for (const at of [bytes.indexOf("GNU\0"), bytes.lastIndexOf(abiNote) + abiNote.indexOf("GNU\0")]) {
    const go = Buffer.from(bytes);
    go.write("Go\0\0", at);
    assert.match((await warned([file("go", go)])) ?? "", /go is written in Go/);
  }
  assert.match((await warned(["go"], { preload: "/nowhere/adopt.so" })) ?? "", /\/nowhere\/adopt.so is not there/);
});

test("impossibleAdoptions reads broken programs without harm", async () => {
  const bytes = readFileSync(compiled("whole"));
  for (const length of [0, 2, 3, 63, 64, 100, 600]) await warned([file("cut", bytes.subarray(0, length))]);
  const wild = Buffer.from(bytes);
  wild.fill(0xff, 32, 64);
  await warned([file("wild", wild)]);
  await warned([file("blank", "#!\n")]);
});

test("impossibleAdoptions warns of a library that the service's user may not read, because of it or of a folder above it", async () => {
  const program = compiled("readable");
  const stranger = ', user: "12345:12345"';
  const folder = join(directory, "closed");
  mkdirSync(folder, { mode: 0o755 });
  const preload = join(folder, "adopt.so");
  writeFileSync(preload, "", { mode: 0o644 });
  assert.equal(await warned([program], { more: stranger, preload }), undefined);
  chmodSync(folder, 0o700);
  const why = (what: string) =>
    `cannot adopt "http": user 12345 may not read ${preload} (${what}), the loader ignores it`;
  assert.equal(await warned([program], { more: stranger, preload }), why(`${folder} has mode 0700`));
  assert.equal(await warned([program], { preload }), undefined);
  chmodSync(folder, 0o750);
  const group = `, user: "12345:${process.getgid?.()}"`;
  assert.equal(await warned([program], { more: group, preload }), undefined);
  chmodSync(folder, 0o755);
  chmodSync(preload, 0o600);
  assert.equal(await warned([program], { more: stranger, preload }), why(`${preload} has mode 0600`));
});
