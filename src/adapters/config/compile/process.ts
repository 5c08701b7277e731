import type { Identity, ProcessSpec, ResourceLimit } from "../../../core/plan.js";
import { Refused } from "../format.js";
import { keyMeant } from "../read.js";
import { resources, service, type WrittenService } from "../schema/service.js";
import { compileEnvironment } from "./environment.js";
import { keyPlaceFor, mainName, placeFor, type Scene } from "./scene.js";
import type { SetVariables } from "./set-variables.js";

/** What to run for a service. `command` beats the written one: it is the command line's; `set` are variables that cannot be given. */
export function compileProcess(
  written: WrittenService,
  path: string,
  command: readonly string[] | undefined,
  set: SetVariables,
  scene: Scene,
): ProcessSpec {
  const { settings } = scene;
  const argv = command ?? written.command ?? [];
  if (argv.length === 0 && !scene.places.has(`${path}.command`)) {
    const hint = path === `services.${mainName}` ? "give it one, here or on the command line" : undefined;
    if (!misspelt(path, "command", scene))
      scene.complaints.problem(keyPlaceFor(scene.places, path), path, "has no command", hint);
  } else if (argv[0] === "") {
    scene.complaints.problem(
      placeFor(scene.places, `${path}.command`),
      `${path}.command`,
      "the program's name is empty",
    );
  }
  const identity = identityOf(written, path, scene);
  const workingDirectory = written.workingDirectory ?? settings.working_directory;
  return {
    command: argv,
    env: compileEnvironment(scene.sharedEnv, written.envFiles, written.env, path, set, scene),
    ...(workingDirectory === undefined ? {} : { workingDirectory }),
    ...(identity === undefined ? {} : { identity }),
    ...(written.umask === undefined ? {} : { umask: written.umask }),
    ...(written.nice === undefined ? {} : { nice: written.nice }),
    ...(written.oomScoreAdj === undefined ? {} : { oomScoreAdj: written.oomScoreAdj }),
    limits: limitsOf(written, path, scene),
    output: written.output,
    tty: written.tty,
  };
}

/** A key that was probably meant to be `wanted` has been complained about. */
function misspelt(path: string, wanted: string, { places }: Scene): boolean {
  const node = places.get(path)?.value;
  if (node?.kind !== "map") return false;
  return [...node.entries.keys()].some(
    (name) => !Object.hasOwn(service.keys, name) && keyMeant(name, service) === wanted,
  );
}

function identityOf(written: WrittenService, path: string, scene: Scene): Identity | undefined {
  const { accounts, complaints, places, settings } = scene;
  const own = written.user !== undefined;
  // a user of one's own does not inherit the group that goes with another
  const group = written.group ?? (own ? undefined : settings.group);
  const identity = accounts.identity(written.user ?? settings.user, group);
  if (!(identity instanceof Refused)) return identity;
  const groupAtFault = /group/.test(identity.message) && !/of user/.test(identity.message);
  const key = groupAtFault && (written.group ?? settings.group) !== undefined ? "group" : "user";
  const at = places.has(`${path}.${key}`) ? `${path}.${key}` : key;
  // a mistake at the top level is one mistake, however many services inherit it
  const place = placeFor(places, at);
  if (at === key && complaintsAbout(scene, at)) return undefined;
  complaints.problem(place, at, identity.message, identity.hint);
  return undefined;
}

const complainedAtTop = new WeakMap<Scene["complaints"], Set<string>>();

function complaintsAbout({ complaints }: Scene, path: string): boolean {
  const seen = complainedAtTop.get(complaints) ?? new Set<string>();
  complainedAtTop.set(complaints, seen);
  if (seen.has(path)) return true;
  seen.add(path);
  return false;
}

function limitsOf(written: WrittenService, path: string, { complaints, places }: Scene): ResourceLimit[] {
  return resources.flatMap((resource) => {
    const limit = written.limits?.[resource];
    if (limit === undefined) return [];
    if (typeof limit === "number") return [{ resource, soft: limit, hard: limit }];
    const soft = limit.soft ?? limit.hard;
    const hard = limit.hard ?? limit.soft;
    const at = `${path}.limits.${resource}`;
    if (soft === undefined || hard === undefined) {
      if (!places.has(`${at}.soft`) && !places.has(`${at}.hard`))
        complaints.problem(keyPlaceFor(places, at), at, "needs soft, hard or both");
      return [];
    }
    if (hard !== -1 && (soft === -1 || soft > hard)) {
      const text = soft === -1 ? "unlimited" : soft;
      complaints.problem(placeFor(places, `${at}.soft`), `${at}.soft`, `${text} is more than the hard limit ${hard}`);
    }
    return [{ resource, soft, hard }];
  });
}
