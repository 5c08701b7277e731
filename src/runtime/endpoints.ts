export interface OpenEndpoints {
  /** accepts nobody any more; who is connected is still answered */
  pause(): void;
  close(): Promise<void>;
}

/** The endpoints of a server: opened beside the services, paused while another generation has their sockets, closed at the end. */
export class Endpoints {
  readonly #open: () => Promise<OpenEndpoints>;
  readonly #failed: (error: unknown) => void;
  readonly #all: Promise<OpenEndpoints>[] = [];
  #serving = false;

  constructor(open: () => Promise<OpenEndpoints>, failed: (error: unknown) => void) {
    this.#open = open;
    this.#failed = failed;
  }

  /** Begins in a later turn: nothing of theirs may cost the first services time. */
  open(): void {
    if (this.#serving) return;
    this.#serving = true;
    const opened = new Promise((resolve) => setImmediate(resolve)).then(this.#open);
    this.#all.push(opened);
    opened.catch(this.#failed);
  }

  /** The sockets stay open; whoever connects waits for the next who accepts. */
  pause(): void {
    if (!this.#serving) return;
    this.#serving = false;
    void this.#all.at(-1)?.then(
      (opened) => opened.pause(),
      () => {},
    );
  }

  async close(): Promise<void> {
    for (const opened of this.#all) await (await opened.catch(() => undefined))?.close();
  }
}
