import { join } from "node:path";
import type { DialledOwner, HandoverIdentity } from "../../runtime/handover-ports.js";
import { native } from "../native/addon.js";
import { codeOf } from "./error-code.js";
import { makeRoomEarly } from "./file-limit.js";
import { CandidateSession } from "./new-session.js";
import { type HandoverWorld, strangerAt } from "./world.js";

interface Dial {
  readonly me: HandoverIdentity;
  readonly attempt: string;
  readonly signal?: AbortSignal;
}

/** Connects to owner.sock and goes through the handover until all sockets are there. */
export async function dialOwner(world: HandoverWorld, dial: Dial): Promise<DialledOwner> {
  const { clock, times } = world;
  const addon = native();
  const fd = addon.socket(addon.constants.AF_UNIX, addon.constants.SOCK_STREAM);
  for (const deadline = clock.now() + times.helloMs; ; ) {
    try {
      addon.connectUnix(fd, join(world.directory, "owner.sock"));
      return dialOver(fd, world, dial);
    } catch (error) {
      const reason = `cannot reach the owner: ${(error as Error).message}`;
      // its queue is full: many knock
      if (codeOf(error) === "EAGAIN" && clock.now() < deadline && !dial.signal?.aborted) {
        await clock.until(clock.now() + times.retryMs, dial.signal);
        continue;
      }
      addon.close(fd);
      const nobody = codeOf(error) === "ENOENT" || codeOf(error) === "ECONNREFUSED";
      return { kind: nobody ? "nobody" : "refused", reason };
    }
  }
}

/** The same over a connection that is there. Takes `fd` over. */
export function dialOver(fd: number, world: HandoverWorld, dial: Dial): Promise<DialledOwner> {
  const stranger = strangerAt(fd, world);
  if (stranger !== undefined) {
    native().close(fd);
    return Promise.resolve({ kind: "refused", reason: `the owner is not one of ours: ${stranger}` });
  }
  makeRoomEarly();
  return new Promise((resolve) => {
    const session = new CandidateSession(fd, world, dial, resolve);
    const stop = () => session.abort("it is not wanted any more", "stopped");
    dial.signal?.addEventListener("abort", stop, { once: true });
    void session.ended.then(() => dial.signal?.removeEventListener("abort", stop));
    if (dial.signal?.aborted) stop();
  });
}
