import { encodeHandoverFrame } from "../../core/handover-codec.js";
import {
  batchesOf,
  columnsOf,
  maxHandoverText,
  type OfferedSocket,
  socketsPerBatch,
} from "../../core/handover-frame.js";
import type { OwnSocket } from "../../runtime/handover-ports.js";
import { native } from "../native/addon.js";
import type { Wire } from "./wire.js";

/** Batches that are under way at once: enough that neither side waits for the other. */
const widest = 8;

/**
 * A quarter of the files that may be open: beyond that number the kernel lets no more descriptors be in flight (ETOOMANYREFS), of all processes
 * of this user together.
 */
function windowNow(): number {
  return Math.max(1, Math.min(widest, Math.floor(native().makeRoomForFiles(0) / 4 / socketsPerBatch)));
}

/** The sockets on their way to NEW. All is prepared before the first is sent: what cannot be offered is known before anything changes. */
export class OutgoingOffer {
  readonly #sockets: readonly OwnSocket[];
  readonly #batches: readonly { readonly bytes: Uint8Array; readonly fds: readonly number[] }[];
  readonly #window = windowNow();
  #sent = 0;
  #acknowledged = 0;

  /** @throws Error in words: a name, key or address is too long. Error EBADF, ENOTSOCK: one of them is no socket */
  constructor(sockets: readonly OwnSocket[]) {
    this.#sockets = sockets;
    for (const { name, key, address } of sockets)
      if (Math.max(name.length, key.length, address.length) > maxHandoverText)
        throw new Error(
          `the listener at ${address.slice(0, 107)} has a name of more than ${maxHandoverText} characters`,
        );
    const batches = batchesOf(sockets.length);
    this.#batches = Array.from({ length: batches }, (_, i) => {
      const part = sockets.slice(i * socketsPerBatch, (i + 1) * socketsPerBatch);
      const fds = part.map(({ fd }) => fd);
      const bytes = encodeHandoverFrame({
        type: "OFFER",
        batch: i + 1,
        batches,
        sockets: columnsOf(described(part, fds)),
      });
      return { bytes, fds };
    });
  }

  get count(): number {
    return this.#sockets.length;
  }

  get complete(): boolean {
    return this.#acknowledged === this.#batches.length;
  }

  /** whether a BATCH with this number says something new that can be */
  mayAcknowledge(batch: number): boolean {
    return batch > this.#acknowledged && batch <= this.#sent;
  }

  nameAt(place: number): string | undefined {
    return this.#sockets[place]?.name;
  }

  acknowledge(batch: number): void {
    this.#acknowledged = batch;
  }

  /** @throws Error EBADF: a socket was closed meanwhile */
  send(wire: Wire): void {
    while (this.#sent - this.#acknowledged < this.#window) {
      const batch = this.#batches[this.#sent];
      if (batch === undefined) return;
      this.#sent++;
      wire.sendEncoded(batch.bytes, batch.fds);
    }
  }
}

function described(sockets: readonly OwnSocket[], fds: readonly number[]): OfferedSocket[] {
  const facts = new Float64Array(2 * fds.length);
  native().inspectSockets(Int32Array.from(fds), facts);
  return sockets.map(({ name, key, family, type, address, backlog, reusePort }, i) => {
    const inode = facts[2 * i] ?? 0;
    const listening = facts[2 * i + 1] === 1;
    return { name, key, family, type, address, inode, backlog, reusePort, listening };
  });
}
