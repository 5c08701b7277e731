// Who owns: what the journal says, whether the lock is held, and who answers. Each alone can lie.
import { spawnSync } from "node:child_process";
import { request } from "node:http";
import { holds, listenerInode } from "../bench/upgrade/processes.mjs";

/** @returns {Promise<string | undefined>} generation that answered on a connection of its own, as "rN" */
function generationOf(options) {
  return new Promise((done) => {
    const call = request(
      { ...options, path: "/plain", timeout: 3_000, agent: false, headers: { "x-request-id": "owner" } },
      (response) => {
        response.resume();
        response.on("end", () => done(`r${response.headers["x-generation"]}`));
      },
    );
    call.on("timeout", () => call.destroy());
    call.on("error", () => done(undefined));
    call.end();
  });
}

/** A service of another generation that could still accept; answers alone do not show it, one process may take them all. */
function alsoAccepting(running, place, owner) {
  const inode = listenerInode(place.port);
  return running.services().find(({ pid, generation }) => `r${generation}` !== owner && holds(pid, inode));
}

/** @returns {Promise<{ owner?: string, problem?: string }>} */
export async function owners(running, place) {
  const journal = running.journal();
  if (journal?.owner === undefined) return { problem: "no journal" };
  const owner = journal.owner.release;
  const state = journal.attempt?.state;
  if (state === "transferring" || state === "committed") return { owner, problem: `the journal says ${state}` };
  // -E 9: nobody else uses it; held means that flock cannot have it
  const lock = spawnSync("flock", ["-n", "-E", "9", running.lock, "true"]);
  if (lock.status !== 9) return { owner, problem: "nobody holds the owner's lock" };
  const also = alsoAccepting(running, place, owner);
  if (also !== undefined) return { owner, problem: `r${also.generation} still accepts, ${owner} owns` };
  const places = [{ host: "127.0.0.1", port: place.port }, { socketPath: place.socket }];
  const answers = await Promise.all(Array.from({ length: 48 }, (_, i) => generationOf(places[i % 2])));
  const other = answers.find((each) => each !== owner);
  if (answers.some((each) => each !== owner)) return { owner, problem: `${other ?? "nobody"} answers, ${owner} owns` };
  return { owner };
}
