import { batchesOf, type HandoverFrame } from "../../core/handover-frame.js";
import type { InheritedSocket } from "../../runtime/handover-ports.js";
import { native } from "../native/addon.js";

type Offer = Extract<HandoverFrame, { type: "OFFER" }>;

/** The sockets as they come from OLD. Their descriptors are owned here until they are taken. */
export class IncomingOffer {
  readonly #count: number;
  #sockets: InheritedSocket[] = [];
  #batches = 0;

  constructor(count: number) {
    this.#count = count;
  }

  get complete(): boolean {
    return this.#batches === batchesOf(this.#count);
  }

  get sockets(): readonly InheritedSocket[] {
    return this.#sockets;
  }

  /**
   * Whether the batch is the next one, and its descriptors are the sockets that it names.
   * @returns why not
   */
  problem(offer: Offer, fds: readonly number[]): string | undefined {
    const batches = batchesOf(this.#count);
    const { name, inode, listening } = offer.sockets;
    const got = this.#sockets.length + name.length;
    if (offer.batches !== batches || offer.batch !== this.#batches + 1 || got > this.#count)
      return `OLD sent batch ${offer.batch} of ${offer.batches}, ${this.#batches + 1} of ${batches} was due`;
    if (offer.batch === batches && got !== this.#count) return `OLD sent ${got} sockets, it promised ${this.#count}`;
    const facts = new Float64Array(2 * fds.length);
    try {
      native().inspectSockets(Int32Array.from(fds), facts);
    } catch (error) {
      return `what OLD sent is no socket: ${(error as Error).message}`;
    }
    for (let i = 0; i < fds.length; i++) {
      if (facts[2 * i] !== inode[i])
        return `the socket sent for "${name[i]}" is another (inode ${facts[2 * i]}) than was offered (${inode[i]})`;
      if ((facts[2 * i + 1] === 1) !== listening[i])
        return `the socket sent for "${name[i]}" ${listening[i] ? "does not listen any more" : "listens"}`;
    }
    return undefined;
  }

  /** Takes the descriptors out of `fds`. */
  add({ sockets: columns }: Offer, fds: number[]): void {
    const taken = fds.splice(0);
    const { name, key, family, type, address, inode, backlog, reusePort, listening } = columns;
    for (let i = 0; i < taken.length; i++) {
      // the columns are of one length, which is that of the descriptors: the codec and the wire have seen to it
      this.#sockets.push({
        name: name[i] as string,
        key: key[i] as string,
        family: family[i] as InheritedSocket["family"],
        type: type[i] as InheritedSocket["type"],
        address: address[i] as string,
        inode: inode[i] as number,
        backlog: backlog[i] as number,
        reusePort: reusePort[i] as boolean,
        listening: listening[i] as boolean,
        fd: taken[i] as number,
      });
    }
    this.#batches++;
  }

  /** Gives the named ones away and closes all others. @returns the places of those in the offer */
  claim(names: ReadonlySet<string>): { readonly taken: number; readonly unknown: number[] } {
    const { close } = native();
    const unknown: number[] = [];
    let place = 0;
    for (const { name, fd } of this.#sockets) {
      if (!names.has(name)) {
        unknown.push(place);
        close(fd);
      }
      place++;
    }
    const taken = this.#sockets.length - unknown.length;
    this.#sockets = [];
    return { taken, unknown };
  }

  close(): void {
    this.claim(new Set());
  }
}
