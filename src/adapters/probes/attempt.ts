import type { ProbeResult } from "../../runtime/ports.js";

/**
 * One way to ask. Begins at once and tells its verdict through `settle` (only the first counts). The function returned ends
 * whatever is still open; it is called exactly once, after the verdict or when time or interest is over. `restart` lets its time begin anew.
 */
export type Attempt = (settle: (result: ProbeResult) => void, restart: () => void) => () => void;

export const passed: ProbeResult = { ok: true };

export function failed(reason: string, output = ""): ProbeResult {
  return { ok: false, reason, ...(output === "" ? {} : { output }) };
}

/** 1000 -> "1 s", 250 -> "0.25 s" */
export function secondsText(ms: number): string {
  return `${Number((ms / 1000).toFixed(2))} s`;
}

/** Runs an attempt to its end: its own verdict, `late` after `timeoutMs`, or the abort. Never rejects; leaves no timer behind. */
export function settleWithin(
  attempt: Attempt,
  late: () => ProbeResult,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    let end: (() => void) | undefined;
    let settled = false;
    const settle = (result: ProbeResult): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", abandon);
      resolve(result);
      end?.();
    };
    const abandon = (): void => settle(failed("no longer asked"));
    const limit = () => setTimeout(() => settle(late()), Math.max(0, timeoutMs));
    let timer = limit();
    const restart = (): void => {
      if (settled) return;
      clearTimeout(timer);
      timer = limit();
    };
    if (signal.aborted) {
      abandon();
      return;
    }
    signal.addEventListener("abort", abandon, { once: true });
    try {
      end = attempt(settle, restart);
    } catch (error) {
      settle(failed(error instanceof Error ? error.message : String(error)));
      return;
    }
    // the verdict may have come before there was anything to end
    if (settled) end();
  });
}
