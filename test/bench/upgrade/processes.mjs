// Processes of the contenders: started here, ended here; and what /proc knows of them.
import { spawn } from "node:child_process";
import { openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { ask, until } from "../bench.mjs";

const started = new Set();

/** Output goes to `log`. */
export function start(command, { log, ...options }) {
  const out = openSync(log, "a");
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", out, out], ...options });
  started.add(child);
  child.on("error", () => started.delete(child));
  child.on("exit", () => started.delete(child));
  return child;
}

export async function end(child, signal = "SIGTERM", withinMs = 30_000) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once("exit", done));
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), withinMs);
  await gone;
  clearTimeout(late);
}

export function endAll() {
  for (const child of started) child.kill("SIGKILL");
}

/** Ends with code 0, or throws with what it said. */
export async function succeed(command, { timeoutMs = 120_000, ...options } = {}) {
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"], ...options });
  started.add(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => {
      said = (said + text).slice(-2_000);
    });
  const late = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const code = await new Promise((done) => {
    child.on("error", (error) => done(error.message));
    // not `close`: a daemon it leaves behind keeps the pipes
    child.on("exit", (number, signal) => done(number ?? signal));
  });
  clearTimeout(late);
  started.delete(child);
  if (code !== 0) throw new Error(`${command.slice(0, 2).join(" ")} ended with ${code}: ${said.trim()}`);
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

export const answers = (port) => ask({ host: "127.0.0.1", port, path: "/plain" });
export const untilAnswers = (what, port) =>
  until(`an answer of ${what}`, async () => (await answers(port)) === 200, 30_000);

export function alive(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1][0] !== "Z";
  } catch {
    return false;
  }
}

/** Inode of the socket that listens on a TCP port. */
export function listenerInode(port) {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const row = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .find((fields) => fields[1]?.endsWith(wanted) && fields[3] === "0A");
  return row?.[9];
}

export function holds(pid, inode) {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).some((fd) => {
      try {
        return readlinkSync(join(folder, fd)) === `socket:[${inode}]`;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

/** As `until`, for what is looked up in /proc while the load runs: a look costs processor time, which the clients would feel. */
export const noticed = (what, look, timeoutMs, everyMs = 50) => until(what, look, timeoutMs, everyMs);

/** Is there a process, not a zombie, with this in its command line? */
export function runningWith(text) {
  return readdirSync("/proc").some((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  });
}
