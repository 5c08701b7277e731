import type { ProbeSpec } from "../core/plan.js";
import type { Clock, ProbeResult } from "./ports.js";

/** Told on every change of the verdict, and on every new reason while it fails. */
export type ProbeVerdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly reason: string;
      readonly output?: string;
      /** failureThreshold was reached */
      readonly final: boolean;
    };

export interface ProbeLoop {
  readonly spec: ProbeSpec;
  readonly ask: (timeoutMs: number, signal: AbortSignal) => Promise<ProbeResult>;
  readonly tell: (verdict: ProbeVerdict) => void;
  /**
   * Until the first success ask also between the periods, at first after 25 ms: nobody should wait a period for a service that is up.
   * What these extra questions find counts as success, never towards failureThreshold.
   */
  readonly eager: boolean;
}

const firstEagerMs = 25;
/**
 * Lost races are passed over for so many times what a threshold of failures takes. A process that stands still loses all of them while the other
 * generation accepts, and has to be found; on one processor a sound one was seen to lose for 13 s, probed every second.
 */
const patience = 3;

/** Asks until `signal` aborts, with Kubernetes' thresholds. Never rejects. */
export async function runProbe(loop: ProbeLoop, clock: Clock, signal: AbortSignal): Promise<void> {
  const { spec } = loop;
  let due = clock.now() + spec.initialDelayMs;
  let eagerMs = firstEagerMs;
  let successes = 0;
  let failures = 0;
  let passed = false;
  let lostSince: number | undefined;
  let told: string | undefined;
  await clock.until(due, signal);
  while (!signal.aborted) {
    const counts = clock.now() >= due;
    const asked = clock.now();
    while (due <= asked) due += spec.periodMs;
    const result = await loop.ask(spec.timeoutMs, signal);
    if (signal.aborted) return;
    const lost = result.ok ? undefined : result.lost;
    lostSince = lost === "others" ? (lostSince ?? asked) : undefined;
    // who closes at once may be the process that is asked, however long it takes to see it
    const learntNothing = lost === "unseen" || (lostSince !== undefined && clock.now() - lostSince < patienceMs(spec));
    if (result.ok) {
      successes += 1;
      failures = 0;
      if (successes >= spec.successThreshold && told !== "ok") {
        told = "ok";
        passed = true;
        loop.tell({ ok: true });
      }
    } else {
      if (!learntNothing) {
        successes = 0;
        if (counts) failures += 1;
      }
      const final = failures >= spec.failureThreshold;
      const { reason, output } = result;
      const words = `${final} ${reason} ${output ?? ""}`;
      if (told !== words && (final ? !learntNothing : told !== "ok")) {
        told = words;
        loop.tell({ ok: false, reason, ...(output === undefined ? {} : { output }), final });
      }
    }
    const wait = loop.eager && !passed ? Math.min(clock.now() + eagerMs, due) : due;
    eagerMs = Math.min(eagerMs * 1.5, spec.periodMs);
    await clock.until(wait, signal);
  }
}

function patienceMs({ failureThreshold, periodMs, timeoutMs }: ProbeSpec): number {
  return patience * failureThreshold * (periodMs + timeoutMs);
}
