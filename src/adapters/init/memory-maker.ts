import { native } from "../native/addon.js";

/**
 * Makes the memfds that long frames and states travel in. They live only until they are sent, so one descriptor is kept in hand for the
 * moment when this process may open no more files.
 */
export class MemoryMaker {
  #spare: number | undefined;

  constructor() {
    this.refill();
  }

  /** @throws Error of the addon: ENFILE, ENOMEM and the like; EMFILE when even the spare one does not help */
  make(name: string, data: Uint8Array): number {
    const addon = native();
    try {
      return addon.sealedMemory(name, data);
    } catch (error) {
      if (this.#spare === undefined || (error as NodeJS.ErrnoException).code !== "EMFILE") throw error;
      this.close();
      return addon.sealedMemory(name, data);
    }
  }

  /** To be called once what was made is closed. */
  refill(): void {
    if (this.#spare !== undefined) return;
    try {
      this.#spare = native().sealedMemory("pingora-entry-spare", new Uint8Array());
    } catch {
      // there is none to keep: the next time, perhaps
    }
  }

  close(): void {
    if (this.#spare !== undefined) native().close(this.#spare);
    this.#spare = undefined;
  }
}
