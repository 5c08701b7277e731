/** One end of a stream connection on this machine that a listener's socket has, or will have. */
export interface TableEntry {
  /** the listener it came in at */
  readonly listener: string;
  /** of the accepted socket; 0 while it waits in the accept queue */
  readonly inode: number;
  /** of TCP, by the kernel's number */
  readonly state?: number;
  /** who accepted it, where the kernel tells */
  readonly uid?: number;
  /** whose connection it is, where that was asked for and can be told */
  readonly client?: ClientSocket;
}

/** The other end of a connection that has begun on this machine. */
export type ClientSocket =
  /** of a unix socket; 0: it is closed already */
  | { readonly kind: "inode"; readonly inode: number }
  | { readonly kind: "place"; readonly place: ClientPlace; readonly port: number };

/** The address, the port and the other end's port of a client's TCP socket, as one text. */
export type ClientPlace = string;

/** `address`: 8 or 32 hexadecimal digits; of an IPv4 address it does not matter which. */
export function clientPlace(address: string, port: number, listenerPort: number): ClientPlace {
  return `${bare(address)} ${port} ${listenerPort}`;
}

/** Whether a connection between these addresses has begun on the machine on which it ends. */
export function isLocal(local: string, remote: string): boolean {
  return local === remote || bare(remote).startsWith("7f");
}

function bare(address: string): string {
  return address.length === 32 && address.startsWith("00000000000000000000ffff") ? address.slice(24) : address;
}

/** Which accepted sockets' clients are asked for. */
export type Wanted = (inode: number) => boolean;

/** What a look at the kernel's tables gave. */
export interface ConnectionTable {
  readonly entries: readonly TableEntry[];
  /** false: entries may be missing or doubled, because the table was read piece by piece, changed meanwhile, or did not fit */
  readonly exact: boolean;
}

/** Connections that are our own doing: they count for nothing. */
export interface OwnConnections {
  /** `address` as 8 or 32 hexadecimal digits; asked for only where the port fits */
  hasPort(port: number, address: () => string): boolean;
  /** of a client's unix socket */
  hasInode(inode: number): boolean;
}

/** TCP states by the kernel's numbers. */
export const established = 1;
export const closeWait = 8;

/**
 * A connection lives while a process has it, whichever side has said its last word already. One that no process has waits to be
 * accepted; or its process has closed it, and the kernel only says goodbye.
 */
export function isLive(inode: number, state: number): boolean {
  return inode !== 0 || state === established || state === closeWait;
}
