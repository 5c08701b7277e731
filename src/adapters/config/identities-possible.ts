import type { Problem } from "../../core/entry-error.js";
import type { Loaded } from "./load-plan.js";

/** Services that are to run as somebody else, which only root can arrange. `uid`: who we are. Warnings only: `check` may run as another user. */
export function impossibleIdentities(loaded: Loaded, uid: number): Problem[] {
  if (uid === 0) return [];
  return loaded.plan.services.flatMap((service) => {
    const identity = service.process?.identity;
    if (identity === undefined || identity.uid === uid) return [];
    const path = `services.${service.name}.user`;
    const source = loaded.sourceOf(path) ?? loaded.sourceOf("user");
    const who = identity.name ?? identity.uid;
    const message = `user ${uid} cannot start it as ${who}: only root, or CAP_SETUID and CAP_SETGID, can change the user`;
    return [{ path, message, ...(source === undefined ? {} : { source }) }];
  });
}
