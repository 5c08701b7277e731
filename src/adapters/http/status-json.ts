import type { Snapshot } from "../../core/snapshot.js";
import { statusView } from "../../core/views.js";

/** The body of /status. Put into words once per snapshot; only `now` is of the moment. */
export function statusJson(snapshot: () => Snapshot, wall: () => number): () => string {
  let seen: Snapshot | undefined;
  let kept = "";
  return () => {
    const current = snapshot();
    if (current !== seen) {
      seen = current;
      kept = JSON.stringify(statusView(current)).slice(0, -1);
    }
    return `${kept},"now":${Math.round(wall())}}`;
  };
}
