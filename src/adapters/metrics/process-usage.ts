import { closeSync, openSync, readSync } from "node:fs";

export interface Usage {
  /** user and system time, those of children it has waited for included */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** USER_HZ: 100 on every Linux that Node runs on */
const ticksPerSecond = 100;
/** 4 KiB, but up to 64 KiB on arm64: found out from what the kernel tells in both units */
let pageBytes: number | undefined;
/** processes looked at for one service; a fork bomb must not stall a scrape */
const mostProcesses = 256;

/** A process and everything below it. Undefined when it is gone. */
export function treeUsage(pid: number): Usage | undefined {
  let cpuTicks = 0;
  let pages = 0;
  let found = 0;
  const line = [pid];
  for (let next = line.pop(); next !== undefined && found < mostProcesses; next = line.pop()) {
    const stat = readStat(next);
    if (stat === undefined) continue;
    found += 1;
    cpuTicks += stat.ticks;
    pages += stat.pages;
    line.push(...childrenOf(next));
  }
  if (found === 0) return undefined;
  return { cpuSeconds: cpuTicks / ticksPerSecond, residentBytes: pages * pageSize() };
}

function readStat(pid: number): { readonly ticks: number; readonly pages: number } | undefined {
  const text = readProc(`${pid}/stat`);
  if (text === undefined) return undefined;
  // the name may hold anything, also blanks and parentheses: fields are counted from the last one
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3] ?? 0);
  return { ticks: field(14) + field(15) + field(16) + field(17), pages: field(24) };
}

function childrenOf(pid: number): number[] {
  return readProc(`${pid}/task/${pid}/children`)?.split(" ").filter(Boolean).map(Number) ?? [];
}

function pageSize(): number {
  if (pageBytes !== undefined) return pageBytes;
  const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(readProc("self/status") ?? "")?.[1] ?? 0);
  const pages = readStat(process.pid)?.pages ?? 0;
  const guess = pages === 0 ? 4096 : (kilobytes * 1024) / pages;
  pageBytes = [4096, 16_384, 65_536].reduce((a, b) => (Math.abs(a - guess) <= Math.abs(b - guess) ? a : b));
  return pageBytes;
}

/** These files fit, and one buffer for all of them halves what reading hundreds costs. */
const buffer = Buffer.alloc(16 * 1024);

function readProc(path: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(`/proc/${path}`, "r");
    return buffer.toString("latin1", 0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
