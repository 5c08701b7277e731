import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** elf(5), Elf64_Ehdr */
const headBytes = 64;

interface Library {
  readonly bytes: number;
  /** as much of the file as there is of it */
  readonly head: Buffer;
  readonly isElf: boolean;
  /** e_machine. Of a big-endian machine it is read swapped, on both sides: still the same, or another */
  readonly machine: number;
}

/** What keeps the loader from a library; undefined: nothing that its head tells. */
export function libraryProblem(path: string): string | undefined {
  return cutOff(path) ?? (libraryAt(path)?.isElf === false ? `${path} is no library` : otherMachine(path));
}

/** Of a file that was not copied to its end the loader says nothing: who loads it dies of SIGBUS. Undefined: it is all there. */
export function cutOff(path: string): string | undefined {
  const found = libraryAt(path);
  if (found === undefined) return undefined;
  const needed = found.isElf ? wholeBytes(found.head) : headBytes;
  return found.bytes < needed
    ? `${path} is not whole: it has ${found.bytes} bytes, at least ${needed} are needed`
    : undefined;
}

/** What the loader says of a file for another machine is that there is none. Undefined: it is for this one. */
export function otherMachine(path: string): string | undefined {
  const [found, needed] = [libraryAt(path), libraryAt(process.execPath)];
  if (!found?.isElf || !needed?.isElf || found.machine === needed.machine) return undefined;
  return `${path} is for ${machineName(found.machine)}, and this Node for ${machineName(needed.machine)}: a release for this architecture is needed`;
}

/** The linker puts the table of sections at the end. */
function wholeBytes(head: Buffer): number {
  // 64 bits and little-endian: what we run on
  if (head[4] !== 2 || head[5] !== 1) return headBytes;
  const [table, size, count] = [Number(head.readBigUInt64LE(40)), head.readUInt16LE(58), head.readUInt16LE(60)];
  return Math.max(headBytes, table + size * count);
}

const elf = Buffer.from("\x7fELF");

/** Undefined when it cannot be read: the loader says why. */
function libraryAt(path: string): Library | undefined {
  try {
    const head = Buffer.alloc(headBytes);
    const fd = openSync(path, "r");
    try {
      const { size: bytes } = fstatSync(fd);
      const isElf = readSync(fd, head, 0, headBytes, 0) === headBytes && head.subarray(0, elf.length).equals(elf);
      return { bytes, head, isElf, machine: head.readUInt16LE(18) };
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function machineName(machine: number): string {
  const names: Readonly<Record<number, string>> = {
    3: "x86",
    21: "ppc64",
    40: "arm",
    62: "x86_64",
    183: "aarch64",
    243: "riscv",
  };
  return names[machine] ?? `another machine (ELF ${machine})`;
}
