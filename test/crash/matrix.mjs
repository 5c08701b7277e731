// The cases: whom it hits, how, and when. Pure.
//   topology  one: two supervisors under one init      adopt: the same, with a program that knows nothing of inherited sockets
//             two: two containers (PID namespaces) that share the upgrade directory
//   role      supervisor | service | init              side: old | new
//   how       kill: SIGKILL     pause: SIGSTOP, SIGCONT after 10 s     stop: SIGSTOP for ever
//   step      of the protocol, or a number: milliseconds after the upgrade began

export const steps = [
  "HELLO",
  "LEASE",
  "OFFER",
  "CLAIM",
  "STATE",
  "PREPARING",
  "READY",
  "COMMIT",
  "PROBATION",
  "FINALIZE",
  "DRAINED",
];
export const topologies = ["one", "adopt", "two"];
const hows = ["kill", "pause", "stop"];
const sides = ["old", "new"];

export const nameOf = ({ topology, role, side, how, step }) =>
  `${topology} ${how} ${side} ${role} ${typeof step === "number" ? `at ${step} ms` : step}`;

/** Can this happen at all? */
export function exists({ topology, role, side, how, step }) {
  const number = steps.indexOf(step);
  // told by nobody: in one breath with LEASE and CLAIM
  if (step === "HELLO" || step === "STATE") return false;
  // one init for both: it is the container, and its death is the container's end
  if (topology !== "two" && role === "init") return side === "old" && how !== "kill";
  // the new services are started by PREPARING
  if (role === "service" && side === "new" && typeof step !== "number") return number >= steps.indexOf("PREPARING");
  return true;
}

/**
 * What cannot be had in a case, and why. Everything that is not named here is held to.
 * refused: new connections; broken: any request; slow: slow POST and streams; late: no answer to who asked for the upgrade
 */
export function excuses({ topology, role, side, how, step }, upgraded, ownedByNew) {
  const holdsAlone =
    typeof step === "number" ||
    step === "DRAINED" ||
    (side === "old" ? steps.indexOf(step) <= steps.indexOf("OFFER") : ownedByNew);
  const container = topology === "two" && role === "init";
  return {
    ...(container && how === "kill" && holdsAlone
      ? { refused: "the only holder of the sockets died; the other container takes over" }
      : {}),
    ...(container && how === "stop" && side === "new" && typeof step === "number"
      ? { late: "who asked is the container that stands still" }
      : {}),
    // `accept: on-start`: a candidate that is given up had accepted, and is given half a second
    ...(upgraded ? {} : { slow: "the candidate that had accepted it was given up" }),
    // what a process had accepted dies with it, or waits with it
    ...(role === "service" || (topology === "two" && role === "init" && how === "kill")
      ? { broken: "what the process had accepted went with it" }
      : {}),
  };
}

/** A stopped init can start nobody: this one has to be woken before the next upgrade. */
export const wakesBeforeNext = ({ topology, role, how }) => topology !== "two" && role === "init" && how === "stop";

export function whole() {
  const found = [];
  for (const topology of topologies)
    for (const step of steps)
      for (const role of ["supervisor", "service", "init"])
        for (const side of sides) for (const how of hows) found.push({ topology, role, side, how, step });
  return found.filter(exists);
}

const inShort = new Set([
  ...["LEASE", "CLAIM", "READY", "COMMIT", "PROBATION", "FINALIZE"].flatMap((step) =>
    sides.map((side) => `one kill ${side} supervisor ${step}`),
  ),
  "one pause old supervisor COMMIT",
  "one stop new supervisor PROBATION",
  "one kill new service PROBATION",
  "one kill old service PREPARING",
  "one stop new service READY",
  "one pause old init PREPARING",
  "adopt kill old supervisor COMMIT",
  "adopt kill new supervisor FINALIZE",
  "two kill old init COMMIT",
  "two kill new init COMMIT",
  "two kill new init FINALIZE",
  "two kill new supervisor COMMIT",
  "two kill old init PREPARING",
  "two kill old supervisor PROBATION",
  "two stop old init PROBATION",
]);

export const short = () => whole().filter((each) => inShort.has(nameOf(each)));

/** `count` cases at random moments, the same for the same seed. */
export function random(count, seed, durationMs) {
  let state = seed % 2_147_483_647 || 1;
  const below = (limit) => {
    state = (state * 48_271) % 2_147_483_647;
    return Math.floor((state / 2_147_483_647) * limit);
  };
  const found = [];
  while (found.length < count) {
    const one = {
      topology: topologies[below(topologies.length)],
      role: ["supervisor", "service", "init"][below(3)],
      side: sides[below(2)],
      how: hows[below(3)],
      step: below(durationMs),
    };
    if (exists(one)) found.push(one);
  }
  return found;
}
