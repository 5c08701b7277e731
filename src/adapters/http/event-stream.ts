import type { ServerResponse } from "node:http";
import type { Snapshot, Transition } from "../../core/snapshot.js";
import type { Control } from "../../runtime/ports.js";

export interface EventLimits {
  readonly clients: number;
  /** a client that has this much to read is let go */
  readonly backlogBytes: number;
  /** snapshots follow each other no faster than this; transitions are never held back */
  readonly snapshotEveryMs: number;
  readonly heartbeatMs: number;
  /** transitions remembered for clients that come back */
  readonly history: number;
}

const defaults: EventLimits = {
  clients: 64,
  backlogBytes: 1024 * 1024,
  snapshotEveryMs: 200,
  heartbeatMs: 15_000,
  history: 256,
};

interface Sent {
  readonly serial: number;
  readonly text: string;
}

/**
 * Server-sent events for any number of readers at the cost of one: every event is put into words once.
 *
 *     event: transition   id: BOOT.N   data: {"from","to","event","at"}     each, in order; missed ones first after Last-Event-ID
 *     event: snapshot     id: BOOT.N   data: as /status                     the newest, at once and after changes; N: transitions before it
 */
export class EventStream {
  readonly #limits: EventLimits;
  readonly #json: () => string;
  readonly #clients = new Set<ServerResponse>();
  readonly #past: Sent[] = [];
  readonly #boot: string;
  readonly #leave: () => void;
  #serial = 0;
  #dirty = false;
  #pause: NodeJS.Timeout | undefined;
  #heart: NodeJS.Timeout | undefined;

  /** `json`: the snapshot as /status gives it. `boot`: in every id, so that those of an earlier supervisor are not taken for ours */
  constructor(
    control: Pick<Control, "subscribe">,
    json: () => string,
    boot: string,
    limits: Partial<EventLimits> = {},
  ) {
    this.#limits = { ...defaults, ...limits };
    this.#json = json;
    this.#boot = boot;
    this.#leave = control.subscribe({
      transition: (transition) => this.#transition(transition),
      snapshot: (snapshot) => this.#changed(snapshot),
    });
  }

  /** Takes the response over. False: there are too many readers already. */
  attach(response: ServerResponse, lastEventId: string | undefined): boolean {
    if (this.#clients.size >= this.#limits.clients) return false;
    response.writeHead(200, eventHeaders);
    this.#clients.add(response);
    response.on("close", () => this.#gone(response));
    response.on("error", () => this.#gone(response));
    const [boot, serial] = lastEventId?.split(".") ?? [];
    const missed = boot === this.#boot ? this.#past.filter((each) => each.serial > Number(serial)) : [];
    this.#send(response, `retry: 1000\n\n${missed.map(({ text }) => text).join("")}${this.#snapshotText()}`);
    this.#heart ??= setInterval(() => this.#toAll(":\n\n"), this.#limits.heartbeatMs).unref();
    return true;
  }

  /** The newest snapshot to everybody, and the end. */
  close(): void {
    this.#leave();
    if (this.#dirty) this.#toAll(this.#snapshotText());
    for (const client of [...this.#clients]) client.end();
    this.#clients.clear();
    this.#rest();
  }

  #transition(transition: Transition): void {
    this.#serial += 1;
    const text = `event: transition\nid: ${this.#boot}.${this.#serial}\ndata: ${JSON.stringify(transition)}\n\n`;
    this.#past.push({ serial: this.#serial, text });
    if (this.#past.length > this.#limits.history) this.#past.shift();
    this.#toAll(text);
  }

  #changed(_snapshot: Snapshot): void {
    if (this.#clients.size === 0) return;
    this.#dirty = true;
    if (this.#pause !== undefined) return;
    this.#tell();
  }

  #tell(): void {
    this.#pause = undefined;
    if (!this.#dirty || this.#clients.size === 0) return;
    this.#toAll(this.#snapshotText());
    this.#pause = setTimeout(() => this.#tell(), this.#limits.snapshotEveryMs).unref();
  }

  #snapshotText(): string {
    this.#dirty = false;
    return `event: snapshot\nid: ${this.#boot}.${this.#serial}\ndata: ${this.#json()}\n\n`;
  }

  #toAll(text: string): void {
    if (this.#clients.size === 0) return;
    const bytes = Buffer.from(text);
    for (const client of this.#clients) this.#send(client, bytes);
  }

  #send(client: ServerResponse, data: string | Buffer): void {
    // what it has not read by now it gets as the newest snapshot when it comes back
    if (client.writableLength > this.#limits.backlogBytes) client.destroy();
    else client.write(data);
  }

  #gone(client: ServerResponse): void {
    this.#clients.delete(client);
    if (this.#clients.size === 0) this.#rest();
  }

  #rest(): void {
    clearInterval(this.#heart);
    clearTimeout(this.#pause);
    this.#heart = undefined;
    this.#pause = undefined;
  }
}

export const eventHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
  "x-content-type-options": "nosniff",
} as const;
