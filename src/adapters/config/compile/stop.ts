import type { StopSpec, StopStep } from "../../../core/plan.js";
import type { WrittenService } from "../schema/service.js";
import { itemPaths, keyPlaceFor, ms, placeFor, type Scene } from "./scene.js";

const defaultWaitMs = 5000;

/** How a service is asked to end; SIGTERM when nothing is said. */
export function compileStop(written: WrittenService["stop"], path: string, scene: Scene): StopSpec {
  const graceMs = written?.graceSeconds === undefined ? undefined : ms(written.graceSeconds);
  const signals =
    written?.signal === undefined
      ? ["SIGTERM"]
      : typeof written.signal === "string"
        ? [written.signal]
        : written.signal;
  const wait = graceMs === undefined ? defaultWaitMs : graceMs / signals.length;
  const item = itemPaths(scene.places, `${path}.signal`);
  const steps = signals.map((step, i): StopStep => {
    const at = typeof written?.signal === "string" ? `${path}.signal` : item(i);
    const signal = typeof step === "string" ? step : step.signal;
    if (signal === undefined) scene.complaints.problem(keyPlaceFor(scene.places, at), at, "signal is missing");
    if (signal === "SIGSTOP")
      scene.complaints.problem(
        placeFor(scene.places, at),
        at,
        "SIGSTOP halts a process and never ends it",
        "use SIGTERM",
      );
    const given = typeof step === "string" ? undefined : step.waitSeconds;
    const last = i === signals.length - 1;
    return { signal: signal ?? "SIGTERM", waitMs: given !== undefined ? ms(given) : last ? (graceMs ?? 0) : wait };
  });
  refuseLateSteps(steps, graceMs, path, scene);
  const command = written?.command;
  return {
    steps,
    ...(graceMs === undefined ? {} : { graceMs }),
    ...(command === undefined || command.length === 0 ? {} : { command }),
  };
}

/** A signal whose turn comes after the kill would never be sent. */
function refuseLateSteps(
  steps: readonly StopStep[],
  graceMs: number | undefined,
  path: string,
  { complaints, places }: Scene,
): void {
  if (graceMs === undefined || steps.length < 2) return;
  let at = 0;
  for (const [i, step] of steps.entries()) {
    if (i > 0 && at >= graceMs) {
      const item = itemPaths(places, `${path}.signal`)(i);
      const message = `would be sent after ${at / 1000} s, but the service is killed after ${graceMs / 1000} s (graceSeconds)`;
      complaints.problem(placeFor(places, item), item, message);
      return;
    }
    at += step.waitMs;
  }
}
