import { native } from "../native/addon.js";

/** sockets of one process that are looked at; with more the answer is not whole */
const mostSockets = 1 << 20;

/** Lists the sockets that processes have open. Keeps its room from one process to the next. */
export class HeldSockets {
  #inodes = new Uint32Array(1_024);

  /** Makes room for so many: what costs is the kernel's making of each entry, not to be paid twice. */
  expect(sockets: number): void {
    if (this.#inodes.length < sockets) this.#inodes = new Uint32Array(Math.min(mostSockets, sockets * 2));
  }

  /** Their inodes, good until the next call. @throws Error with a code: EACCES, it may not be seen; ENOENT, ESRCH, it is gone */
  of(pid: number): { readonly inodes: Uint32Array; readonly whole: boolean } {
    let count = this.#read(pid);
    if (count > this.#inodes.length) {
      this.#inodes = new Uint32Array(Math.min(mostSockets, Math.ceil(count * 1.25)));
      count = this.#read(pid);
    }
    return { inodes: this.#inodes.subarray(0, count), whole: count <= this.#inodes.length };
  }

  #read(pid: number): number {
    return native().heldSockets(pid, new Uint8Array(this.#inodes.buffer));
  }
}
