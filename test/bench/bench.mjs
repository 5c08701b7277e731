// What the benchmarks share: numbers, tables, tools compiled on the spot, memory and time of a process.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { request } from "node:http";
import { delimiter, join, resolve } from "node:path";

export const root = resolve(import.meta.dirname, "../..");
export const program = resolve(process.env.PINGORA_ENTRY_BIN ?? join(root, "dist/bin/pingora-entry"));

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** "12.3 (11.9 - 14.0)": median and range */
export function spread(numbers, digits = 2) {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  return `${median(numbers).toFixed(digits)} (${least.toFixed(digits)} - ${most.toFixed(digits)})`;
}

export function table(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => String(row[i]).length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => String(cell).padEnd(widths[i]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A row of the verdict: a figure against its limit, lower is better. */
export function verdict(name, measured, limit, aim) {
  const word = measured <= (aim ?? limit) ? "good" : measured <= limit ? "within" : "MISSED";
  return {
    name,
    row: [name, measured.toFixed(2), `<= ${limit}`, aim === undefined ? "" : `<= ${aim}`, word],
    missed: word === "MISSED",
  };
}

export function verdicts(list) {
  console.log(`\n${table([["figure", "measured", "target", "aim", ""], ...list.map(({ row }) => row)])}`);
  return list.some(({ missed }) => missed) ? 1 : 0;
}

/** Compiles a C file, or all of a folder, where that is not done yet. */
export function compiled(source) {
  const from = join(root, source);
  const all = statSync(from).isDirectory() ? readdirSync(from).map((file) => join(from, file)) : [from];
  const made = join(root, "build/bench", source.split("/").at(-1).replace(/\.c$/, ""));
  if (existsSync(made) && all.every((file) => statSync(made).mtimeMs >= statSync(file).mtimeMs)) return made;
  mkdirSync(join(root, "build/bench"), { recursive: true });
  // built beside and renamed: two may do it at once
  const fresh = `${made}.${process.pid}`;
  const files = all.filter((file) => file.endsWith(".c"));
  execFileSync(process.env.CC ?? "cc", ["-std=c11", "-O2", "-Wall", "-Wextra", "-o", fresh, ...files]);
  renameSync(fresh, made);
  return made;
}

export function onPath(name) {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(existsSync);
}

export function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** KiB */
export function memoryOf(pid) {
  const read = (file, field) =>
    Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/${file}`, "utf8"))?.[1] ?? 0);
  return { rss: read("status", "VmRSS"), pss: read("smaps_rollup", "Pss") };
}

/** Milliseconds of processor time so far, in steps of 10. */
export function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

export function wakeups(pid) {
  return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
}

export const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

/** Status of one request; 0 when nobody answers. */
export function ask(options) {
  return new Promise((done) => {
    const call = request({ ...options, timeout: 2_000 }, (response) => {
      response.resume();
      response.on("end", () => done(response.statusCode ?? 0));
    });
    call.on("timeout", () => call.destroy());
    call.on("error", () => done(0));
    call.end();
  });
}

export async function until(what, ask, timeoutMs = 20_000, everyMs = 1) {
  for (const deadline = nowMs() + timeoutMs; nowMs() < deadline; ) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((wake) => setTimeout(wake, everyMs));
  }
  throw new Error(`${what} did not come true within ${timeoutMs} ms`);
}

/** CLOCK_MONOTONIC ms of "NAME EVENT MS PID" lines of the test service. */
export function saidAt(file, name, event) {
  if (!existsSync(file)) return undefined;
  const line = readFileSync(file, "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${name} ${event} `));
  return line === undefined ? undefined : Number(line.split(" ")[2]);
}
