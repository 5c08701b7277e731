import type { Plan } from "../../src/core/plan.js";
import type { UpgradeOrder, UpgradeOutcome, UpgradeProgress } from "../../src/core/upgrade-outcome.js";
import type { DialledOwner, HandoverIdentity, NewSession, OldSession } from "../../src/runtime/handover-ports.js";
import type { UpgradeParts } from "../../src/runtime/upgrade-parts.js";
import { FakeHandover, FakePlace } from "./fake-handover.js";
import { FakeServer, planOf, serviceSpec } from "./fake-server.js";
import { settle } from "./manual-clock.js";

export const identity = (nonce: string, generation: number): HandoverIdentity => ({
  nonce,
  generation,
  release: nonce,
  build: "",
  slot: "",
  since: 1,
});

/** An order that was given, as far as it has come. */
export interface Given {
  readonly steps: string[];
  outcome: UpgradeOutcome | undefined;
  readonly gone: AbortController;
}

const handover = serviceSpec("web").upgrade;

/** A server that owns a place: its first order is the attempt "order-1", and the candidate of that one is line 2 of its init. */
export class FakeOwner {
  readonly place: FakePlace;
  readonly server: FakeServer;
  /** what candidates that came to nothing have said, by attempt */
  readonly words: Map<string, string>;
  /** orders and candidates that were turned away */
  readonly turnedAway: () => number;

  private constructor(place: FakePlace, server: FakeServer, words: Map<string, string>, turnedAway: () => number) {
    this.place = place;
    this.server = server;
    this.words = words;
    this.turnedAway = turnedAway;
  }

  static async start({
    services = [serviceSpec("web", { upgrade: { ...handover, strategy: "handover" } })],
    ...more
  }: Partial<Plan> = {}) {
    const place = new FakePlace();
    const me = identity("owner", 1);
    let receive: (session: OldSession) => void = () => {};
    const candidate = (session: OldSession) => receive(session);
    const opened = await new FakeHandover(place).openOwner({ me, candidate });
    if (opened.kind !== "owner") throw new Error("the place is not free");
    let attempts = 0;
    let turnedAway = 0;
    const words = new Map<string, string>();
    const upgrade: UpgradeParts = {
      handover: new FakeHandover(place),
      me,
      owner: opened.owner,
      candidate,
      candidates: (receiver) => {
        receive = receiver;
      },
      command: () => ({ argv: [], env: [] }),
      attemptId: () => `order-${++attempts}`,
      refusal: (attempt) => words.get(attempt),
      refused: () => {
        turnedAway += 1;
      },
      renewInit: () => Promise.resolve(undefined),
    };
    const server = new FakeServer(planOf(services, more), { upgrade });
    await server.begin();
    return new FakeOwner(place, server, words, () => turnedAway);
  }

  async order(change: Partial<UpgradeOrder> = {}): Promise<Given> {
    const given: Given = { steps: [], outcome: undefined, gone: new AbortController() };
    const report = ({ step }: UpgradeProgress) => given.steps.push(step);
    const order = { conf: [], wait: false, ...change };
    void this.server.run.control.upgrade(order, report, given.gone.signal).then((outcome) => {
      given.outcome = outcome;
    });
    await settle();
    return given;
  }

  /** A candidate knocks. */
  async dial(attempt: string, generation = 2): Promise<DialledOwner | undefined> {
    let dialled: DialledOwner | undefined;
    void new FakeHandover(this.place).dialOwner({ me: identity(attempt, generation), attempt }).then((each) => {
      dialled = each;
    });
    await settle();
    return dialled;
  }

  /** The same, and it takes the sockets. */
  async lease(attempt: string, generation = 2): Promise<NewSession> {
    const dialled = await this.dial(attempt, generation);
    if (dialled?.kind !== "session") throw new Error(`the candidate is not let in: ${dialled?.kind}`);
    void dialled.session.claim(new Set(), []);
    await settle();
    return dialled.session;
  }

  /** It is ready, owns, and proves itself. */
  async takeOver(session: NewSession): Promise<void> {
    void session.ready();
    await settle();
    session.owned();
    await this.server.clock.advance(6_000);
  }
}
