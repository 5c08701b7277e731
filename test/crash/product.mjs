// pingora-entry, as the runner wants it. The one file that knows how it is started, upgraded, and looked into.
// What it relies on:
//   log lines on stderr, JSON, with `step` (see matrix.mjs) and, where two supervisors share a stream, `side`: "old" | "new"
//   PINGORA_ENTRY_TEST_PAUSE=SIDE:STEP:MS, honoured or not: the side waits so long after it told of the step
//   `pingora-entry upgrade` (topology one); a second `run` on the same upgrade directory (topology two): exit 75 busy, 1 rolled back
//   journal.json: owner.release is what upgrade.release of the configuration says
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { ask, childrenOf, nowMs, until } from "../bench/bench.mjs";
import { configuration, controlSocket, upgradeCommand } from "../bench/upgrade/entry.mjs";
import { description as node } from "../bench/upgrade/ours-node.mjs";
import { description as python, contender as pythonContender } from "../bench/upgrade/ours-python.mjs";
import { alive, untilAnswers } from "../bench/upgrade/processes.mjs";
import { releaseOf } from "../bench/upgrade/releases.mjs";
import { topologies } from "./matrix.mjs";
import { below, generationIn } from "./proc.mjs";
import { followSteps } from "./steps.mjs";

const container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
const pauseMs = 400;

/** A service that stands still is found by who asks it; without a probe nobody can know. */
const httpGet = { path: "/plain", listener: "http" };
const patient = (plain) => ({
  ...plain,
  // longer than anybody stands still: what is told to end must have time when the init goes on
  drainSeconds: 15,
  // a container that was replaced waits to be needed again, as in a pod
  upgrade: { standby: true },
  service: (...words) => ({
    ...plain.service(...words),
    stop: { graceSeconds: 14 },
    // patient: several cases at once leave little of a processor to each
    readinessProbe: { httpGet, periodSeconds: 0.2, timeoutSeconds: 1 },
    livenessProbe: { httpGet, periodSeconds: 0.5, timeoutSeconds: 2, failureThreshold: 2 },
  }),
});
const descriptionOf = (place) => patient(place.topology === "adopt" ? python(place) : node);

const ready = async (place) => (await ask({ socketPath: controlSocket(place), path: "/readyz" })) === 200;
const isSupervisor = ({ env }) => env.some((each) => each.startsWith("PINGORA_ENTRY_CHANNEL="));

/** One pingora-entry with its init: its own process, or a container of its own. */
function launch(place, generation, { pause, contained, tell, side }) {
  const conf = configuration(place, descriptionOf(place), generation);
  const order = contained && side === "new" ? ["-u"] : [];
  const program = join(releaseOf(generation), "pingora-entry");
  const command = [...(contained ? container : []), program, "run", ...order, "-c", conf];
  const env = { ...process.env, ...(pause === undefined ? {} : { PINGORA_ENTRY_TEST_PAUSE: pause }) };
  const child = spawn(command[0], command.slice(1), { env, stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.pipe(createWriteStream(join(place.dir, `entry-${generation}.log`)));
  const one = { child, place, generation, side };
  followSteps(child.stderr, (told) => tell({ ...told, side: told.side ?? one.side }));
  return Object.assign(one, {
    init: () => (contained ? childrenOf(child.pid)[0] : child.pid),
    ended: () => child.exitCode ?? child.signalCode ?? undefined,
  });
}

/** Exit code, "late", and the last words. */
function call(command, timeoutMs) {
  return new Promise((done) => {
    const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text) => {
        said = (said + text).slice(-300);
      });
    const late = setTimeout(() => {
      child.kill("SIGKILL");
      done({ code: "late", said });
    }, timeoutMs);
    child.on("close", (code, signal) => {
      clearTimeout(late);
      done({ code: code ?? signal, said: said.trim().split("\n").at(-1) });
    });
  });
}

function journalIn(place) {
  try {
    return JSON.parse(readFileSync(join(place.dir, "upgrade/journal.json"), "utf8"));
  } catch {
    return undefined;
  }
}

/** Supervisor and service on each side, of those below one init or of two. */
function sides(instances, owner) {
  const found = { supervisor: {}, service: {}, init: {} };
  for (const [i, each] of instances.entries()) {
    const init = each.init();
    if (init === undefined || !alive(init)) continue;
    found.init[i === 0 ? "old" : "new"] = init;
    const supervisors = [];
    for (const one of below(init)) {
      if (isSupervisor(one)) supervisors.push(one.pid);
      else {
        const generation = generationIn(one);
        if (generation !== undefined) found.service[generation === owner ? "old" : "new"] ??= one.pid;
      }
    }
    if (instances.length === 1) {
      found.supervisor.old = supervisors[0];
      if (supervisors.length > 1) found.supervisor.new = supervisors.at(-1);
    } else found.supervisor[i === 0 ? "old" : "new"] = supervisors[0];
  }
  return found;
}

export const product = {
  topologies: () =>
    topologies.filter((topology) => {
      if (topology === "adopt") return pythonContender.missing() === undefined;
      return (
        topology === "one" || spawnSync(container[0], [...container.slice(1), "true"], { stdio: "ignore" }).status === 0
      );
    }),
  async start(place, one) {
    const listeners = new Set();
    const tell = (told) => {
      for (const each of listeners) each(told);
    };
    const pause = typeof one.step === "string" && one.role ? `${one.side}:${one.step}:${pauseMs}` : undefined;
    const contained = place.topology === "two";
    const options = { pause, contained, tell };
    const slot = (generation) =>
      contained ? { ...place, control: join(place.dir, `control-${generation}.sock`) } : place;
    const all = [launch(slot(1), 1, { ...options, side: contained ? "old" : undefined })];
    let owner = all[0];
    let candidate;
    let generationOfOwner = 1;
    await until("readiness", () => ready(owner.place), 30_000);
    await untilAnswers("the service", place.port);

    async function under(generation, timeoutMs) {
      const conf = configuration(place, descriptionOf(place), generation);
      const command = upgradeCommand({ conf, socket: controlSocket(place), path: releaseOf(generation) });
      const result = await call(command, timeoutMs);
      if (result.code === 0) generationOfOwner = generation;
      return result;
    }

    /** A second container; it is over when that is the owner, or has ended. */
    async function beside(generation, timeoutMs) {
      // no pause any more: what is tested is over
      const begun = launch(slot(generation), generation, {
        ...options,
        pause: generation === 2 ? pause : undefined,
        side: "new",
      });
      all.push(begun);
      candidate = begun;
      for (const deadline = nowMs() + timeoutMs; nowMs() < deadline; ) {
        const code = begun.ended();
        if (code !== undefined) return { code, said: `the second container ended with ${code}` };
        const { owner: written, attempt } = journalIn(place) ?? {};
        if (written?.release === `r${generation}` && attempt?.state !== "committed" && (await ready(begun.place))) {
          owner.side = "old";
          owner = begun;
          candidate = undefined;
          generationOfOwner = generation;
          begun.side = "old";
          return { code: 0, said: "" };
        }
        await new Promise((wake) => setTimeout(wake, 20));
      }
      return { code: "late", said: "" };
    }

    return {
      lock: join(place.dir, "upgrade/owner.lock"),
      onStep: (listener) => listeners.add(listener),
      upgrade: (generation, { timeoutMs }) =>
        contained ? beside(generation, timeoutMs) : under(generation, timeoutMs),
      processes: () => sides(contained && candidate ? [owner, candidate] : [owner], generationOfOwner),
      services: () =>
        all
          .flatMap(({ child }) => below(child.pid))
          .filter((each) => !isSupervisor(each))
          .map((each) => ({ pid: each.pid, generation: generationIn(each) }))
          .filter(({ generation }) => generation !== undefined),
      journal: () => journalIn(place),
      async end() {
        const pids = all.flatMap(({ child, init }) => [...below(child.pid).map(({ pid }) => pid), init(), child.pid]);
        // a killed init of topology one leaves what it had started
        for (const pid of pids.filter((pid) => pid !== undefined)) {
          try {
            process.kill(pid, "SIGKILL");
          } catch {
            // it has ended
          }
        }
      },
    };
  },
};
