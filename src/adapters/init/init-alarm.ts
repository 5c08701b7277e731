import { readFileSync } from "node:fs";

/** As long as the init waits for a supervisor that was stopped. */
const patienceMs = 5_000;

/**
 * Wakes an init that somebody has stopped (SIGSTOP) while it owes an answer: without it nobody can be started, signalled or reaped, and a
 * generation that has been replaced would accept for ever. One that is traced or merely slow is left alone.
 */
export class InitAlarm {
  readonly #pid: number;
  readonly #owes: () => boolean;
  readonly #patienceMs: number;
  #heard = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(pid: number, owes: () => boolean, patience = patienceMs) {
    this.#pid = pid;
    this.#owes = owes;
    this.#patienceMs = patience;
  }

  /** A question is on its way. */
  asked(): void {
    if (this.#timer !== undefined) return;
    this.#heard = performance.now();
    this.#wait();
  }

  /** Something came from it. */
  heard(): void {
    this.#heard = performance.now();
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.#look(), this.#patienceMs).unref();
  }

  #look(): void {
    this.#timer = undefined;
    if (!this.#owes()) return;
    if (performance.now() - this.#heard >= this.#patienceMs && isStopped(this.#pid)) {
      process.emitWarning(`the init was stopped and does not answer: SIGCONT`);
      try {
        process.kill(this.#pid, "SIGCONT");
      } catch {
        // another user's, or it has ended: the channel tells that
      }
    }
    this.#wait();
  }
}

function isStopped(pid: number): boolean {
  try {
    return / T /.test(readFileSync(`/proc/${pid}/stat`, "latin1").replace(/.*\)/s, ""));
  } catch {
    return false;
  }
}
