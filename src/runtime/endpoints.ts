export interface OpenEndpoints {
  /** accepts nobody any more; who is connected is still answered. Resolves when the last of them has gone */
  pause(): Promise<void>;
  close(): Promise<void>;
}

/** The endpoints of a server: opened beside the services, paused while another generation has their sockets, closed at the end. */
export class Endpoints {
  readonly #open: () => Promise<OpenEndpoints>;
  readonly #failed: (error: unknown) => void;
  /** those that serve, and those that are paused and still have somebody */
  readonly #all = new Set<Promise<OpenEndpoints>>();
  #serving: Promise<OpenEndpoints> | undefined;

  constructor(open: () => Promise<OpenEndpoints>, failed: (error: unknown) => void) {
    this.#open = open;
    this.#failed = failed;
  }

  /** Begins in a later turn: nothing of theirs may cost the first services time. */
  open(): void {
    if (this.#serving !== undefined) return;
    this.#serving = new Promise((resolve) => setImmediate(resolve)).then(this.#open);
    this.#all.add(this.#serving);
    this.#serving.catch(this.#failed);
  }

  /** The sockets stay open; whoever connects waits for the next who accepts. */
  pause(): void {
    const paused = this.#serving;
    this.#serving = undefined;
    void paused?.then((opened) => this.#leave(paused, opened)).catch(() => this.#all.delete(paused));
  }

  async close(): Promise<void> {
    for (const opened of this.#all) await (await opened.catch(() => undefined))?.close();
  }

  async #leave(paused: Promise<OpenEndpoints>, opened: OpenEndpoints): Promise<void> {
    await opened.pause();
    this.#all.delete(paused);
    await opened.close();
  }
}
