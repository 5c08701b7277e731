import { readdirSync } from "node:fs";

/** Asks again until `holds` does not throw and is not false; then throws what it last threw. */
export async function eventually(holds: () => unknown, timeoutMs = 10_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    let problem: unknown = new Error(`not so within ${timeoutMs} ms: ${holds}`);
    try {
      if ((await holds()) !== false) return;
    } catch (error) {
      problem = error;
    }
    if (performance.now() > end) throw problem;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Number of descriptors that this process has open. */
export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
