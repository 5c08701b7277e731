/** The endpoints of a server: opened once, beside the services, closed at the end. */
export class Endpoints {
  readonly #open: () => Promise<{ close(): Promise<void> }>;
  readonly #failed: (error: unknown) => void;
  #opened: Promise<{ close(): Promise<void> }> | undefined;

  constructor(open: () => Promise<{ close(): Promise<void> }>, failed: (error: unknown) => void) {
    this.#open = open;
    this.#failed = failed;
  }

  /** Begins in a later turn: nothing of theirs may cost the first services time. */
  open(): void {
    if (this.#opened !== undefined) return;
    this.#opened = new Promise((resolve) => setImmediate(resolve)).then(this.#open);
    this.#opened.catch(this.#failed);
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.close();
  }
}
