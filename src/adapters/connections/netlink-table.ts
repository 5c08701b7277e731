import { endianness } from "node:os";
import { type Diagnosis, native } from "../native/addon.js";
import { type ConnectionTable, isLive, type OwnConnections, type TableEntry } from "./connection-table.js";
import type { ListenerIndex } from "./listener-index.js";

const tcpRecordBytes = 48;
const unixRecordBytes = 120;
/** what a table may have at most: 24 MB of records, half a million connections */
const mostBytes = 24 * 1024 * 1024;
/** a table that changes whenever it is read is taken as it is */
const attempts = 3;
const little = endianness() === "LE";

interface Dump {
  readonly bytes: Buffer;
  readonly records: number;
  readonly exact: boolean;
}

/** Reads the kernel's tables by its socket diagnosis. Keeps its buffers from one look to the next. */
export class NetlinkTable {
  #tcp = Buffer.alloc(2_048 * tcpRecordBytes);
  #unix = Buffer.alloc(256 * unixRecordBytes);

  /** @throws Error with a code: not allowed (EPERM, EACCES), or not there (EPROTONOSUPPORT, ENOENT) in a sandbox or a small kernel */
  read(index: ListenerIndex, own: OwnConnections): ConnectionTable {
    const entries: TableEntry[] = [];
    let exact = true;
    if (index.ports.size > 0) {
      const set = portSet(index.ports);
      const [only = 0] = index.ports.size === 1 ? index.ports : [];
      for (const family of index.families) {
        const dump = dumpInto(
          () => this.#tcp,
          (larger) => {
            this.#tcp = larger;
          },
          tcpRecordBytes,
          (out) => native().diagnoseTcp(family, only, set, out),
        );
        exact &&= dump.exact;
        readTcp(dump, index, own, entries);
      }
    }
    if (index.paths.size > 0) {
      const dump = dumpInto(
        () => this.#unix,
        (larger) => {
          this.#unix = larger;
        },
        unixRecordBytes,
        (out) => native().diagnoseUnix(out),
      );
      exact &&= dump.exact;
      readUnix(dump, index, own, entries);
    }
    return { entries, exact };
  }
}

function dumpInto(
  buffer: () => Buffer<ArrayBuffer>,
  replace: (larger: Buffer<ArrayBuffer>) => void,
  recordBytes: number,
  ask: (out: Uint8Array) => Diagnosis,
): Dump {
  for (let attempt = 1; ; attempt++) {
    const bytes = buffer();
    const { count, interrupted } = ask(bytes);
    const fitted = Math.floor(bytes.length / recordBytes);
    const wanted = Math.min(mostBytes, Math.ceil(count * 1.25) * recordBytes);
    const grows = count > fitted && wanted > bytes.length;
    if (grows) replace(Buffer.alloc(wanted));
    if (attempt < attempts && (interrupted || grows)) continue;
    return { bytes, records: Math.min(count, fitted), exact: !interrupted && count <= fitted };
  }
}

function portSet(ports: Iterable<number>): Uint8Array {
  const set = new Uint8Array(65_536 / 8);
  for (const port of ports) set[port >> 3] = (set[port >> 3] ?? 0) | (1 << (port & 7));
  return set;
}

function readTcp({ bytes, records }: Dump, index: ListenerIndex, own: OwnConnections, entries: TableEntry[]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let at = 0;
  let length = 4;
  // made once, not once per connection
  const localAddress = (): string => bytes.toString("hex", at + 16, at + 16 + length);
  const remoteAddress = (): string => bytes.toString("hex", at + 32, at + 32 + length);
  for (let i = 0; i < records; i++) {
    at = i * tcpRecordBytes;
    const inode = view.getUint32(at, little);
    const family = view.getUint8(at + 13) === 6 ? 6 : 4;
    length = family === 6 ? 16 : 4;
    if (!isLive(inode, view.getUint8(at + 12))) continue;
    if (own.hasPort(view.getUint16(at + 10, little), remoteAddress)) continue;
    const listener = index.atPort(view.getUint16(at + 8, little), family, localAddress);
    if (listener !== undefined) entries.push({ listener, inode, uid: view.getUint32(at + 4, little) });
  }
}

function readUnix({ bytes, records }: Dump, index: ListenerIndex, own: OwnConnections, entries: TableEntry[]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let i = 0; i < records; i++) {
    const at = i * unixRecordBytes;
    if (own.hasInode(view.getUint32(at + 4, little))) continue;
    const name = bytes.toString("utf8", at + 12, at + 12 + view.getUint8(at + 8));
    // a path's length counts its NUL; an abstract name begins with one
    const listener = index.paths.get(name.startsWith("\0") ? name : name.replace(/\0.*$/s, ""));
    if (listener !== undefined) entries.push({ listener, inode: view.getUint32(at, little) });
  }
}
