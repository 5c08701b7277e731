import { endianness } from "node:os";
import { type Diagnosis, native } from "../native/addon.js";
import {
  type ClientPlace,
  type ConnectionTable,
  clientPlace,
  isLive,
  isLocal,
  type OwnConnections,
  type TableEntry,
  type Wanted,
} from "./connection-table.js";
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
  read(
    index: ListenerIndex,
    own: OwnConnections,
    wanted: Wanted = () => false,
    shown: (inode: number, state: number) => boolean = isLive,
  ): ConnectionTable {
    const entries: TableEntry[] = [];
    let exact = true;
    if (index.ports.size > 0) {
      for (const family of index.families) {
        const dump = this.#dumpTcp(family, index.ports);
        exact &&= dump.exact;
        readTcp(dump, index, own, wanted, shown, entries);
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
      readUnix(dump, index, own, wanted, entries);
    }
    return { entries, exact };
  }

  /** Of TCP sockets at these ports, by place: inodes, 0 where it is closed already. @throws Error as `read` */
  clients(ports: ReadonlySet<number>): ReadonlyMap<ClientPlace, number> {
    const found = new Map<ClientPlace, number>();
    for (const family of [4, 6] as const) {
      const { bytes, records } = this.#dumpTcp(family, ports);
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      for (let at = 0; at < records * tcpRecordBytes; at += tcpRecordBytes) {
        const address = bytes.toString("hex", at + 16, at + 16 + (family === 6 ? 16 : 4));
        const [port, listenerPort] = [view.getUint16(at + 8, little), view.getUint16(at + 10, little)];
        found.set(clientPlace(address, port, listenerPort), view.getUint32(at, little));
      }
    }
    return found;
  }

  #dumpTcp(family: 4 | 6, ports: ReadonlySet<number>): Dump {
    const set = portSet(ports);
    const [only = 0] = ports.size === 1 ? ports : [];
    return dumpInto(
      () => this.#tcp,
      (larger) => {
        this.#tcp = larger;
      },
      tcpRecordBytes,
      (out) => native().diagnoseTcp(family, only, set, out),
    );
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

function readTcp(
  { bytes, records }: Dump,
  index: ListenerIndex,
  own: OwnConnections,
  wanted: Wanted,
  shown: (inode: number, state: number) => boolean,
  entries: TableEntry[],
): void {
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
    const state = view.getUint8(at + 12);
    if (!shown(inode, state)) continue;
    const [localPort, port] = [view.getUint16(at + 8, little), view.getUint16(at + 10, little)];
    if (own.hasPort(port, remoteAddress)) continue;
    const listener = index.atPort(localPort, family, localAddress);
    if (listener === undefined) continue;
    const entry = { listener, inode, state, uid: view.getUint32(at + 4, little) };
    if (wanted(inode) && isLocal(localAddress(), remoteAddress())) {
      const place = clientPlace(remoteAddress(), port, localPort);
      entries.push({ ...entry, client: { kind: "place", place, port } });
    } else entries.push(entry);
  }
}

function readUnix(
  { bytes, records }: Dump,
  index: ListenerIndex,
  own: OwnConnections,
  wanted: Wanted,
  entries: TableEntry[],
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let i = 0; i < records; i++) {
    const at = i * unixRecordBytes;
    const peer = view.getUint32(at + 4, little);
    if (own.hasInode(peer)) continue;
    const name = bytes.toString("utf8", at + 12, at + 12 + view.getUint8(at + 8));
    // a path's length counts its NUL; an abstract name begins with one
    const listener = index.paths.get(name.startsWith("\0") ? name : name.replace(/\0.*$/s, ""));
    if (listener === undefined) continue;
    const inode = view.getUint32(at, little);
    entries.push(wanted(inode) ? { listener, inode, client: { kind: "inode", inode: peer } } : { listener, inode });
  }
}
