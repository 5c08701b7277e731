// The stand-in, as the runner wants it. See entry.py; the flaw is the word after --fake.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { untilAnswers } from "../../bench/upgrade/processes.mjs";
import { service } from "../../bench/upgrade/services.mjs";
import { below, generationIn } from "../proc.mjs";
import { followSteps } from "../steps.mjs";

const flaw = process.argv[process.argv.indexOf("--fake") + 1]?.replace(/^--.*/, "") || "none";

function ask(path, line, timeoutMs) {
  return new Promise((done) => {
    let said = "";
    const late = setTimeout(() => {
      done({ code: "late", said: "" });
      socket.destroy();
    }, timeoutMs);
    const over = () => {
      clearTimeout(late);
      const [code, ...words] = said.split(" ");
      done({ code: said === "" ? 69 : Number(code), said: words.join(" ") || "no answer" });
    };
    const socket = connect(path, () => socket.write(line));
    socket.on("data", (text) => {
      said += text;
    });
    socket.on("error", over);
    socket.on("close", over);
  });
}

export const product = {
  topologies: () => ["one"],
  async start(place) {
    const command = [
      resolve(import.meta.dirname, "entry.py"),
      place.dir,
      String(place.port),
      place.socket,
      flaw,
      process.execPath,
      service("node-web.mjs"),
    ];
    const child = spawn("python3", command, { stdio: ["ignore", "ignore", "pipe"], detached: true });
    const listeners = new Set();
    followSteps(child.stderr, (told) => {
      for (const each of listeners) each(told);
    });
    await untilAnswers("the stand-in", place.port);
    let from = 1;
    return {
      lock: join(place.dir, "upgrade/owner.lock"),
      onStep: (listener) => listeners.add(listener),
      async upgrade(generation, { timeoutMs }) {
        const answer = await ask(join(place.dir, "control.sock"), `upgrade ${generation}`, timeoutMs);
        if (answer.code === 0) from = generation;
        return answer;
      },
      processes() {
        const found = { supervisor: {}, service: {}, init: { old: child.pid } };
        for (const { pid, env } of below(child.pid)) {
          const side = env.includes(`GENERATION=${from}`) ? "old" : "new";
          found[env.includes("FAKE_ROLE=supervisor") ? "supervisor" : "service"][side] ??= pid;
        }
        return found;
      },
      services: () =>
        below(child.pid)
          .filter(({ env }) => !env.includes("FAKE_ROLE=supervisor"))
          .map((one) => ({ pid: one.pid, generation: generationIn(one) }))
          .filter(({ generation }) => generation !== undefined),
      journal() {
        try {
          return JSON.parse(readFileSync(join(place.dir, "upgrade/journal.json"), "utf8"));
        } catch {
          return undefined;
        }
      },
      async end() {
        // the group: services outlive a stand-in that was killed
        process.kill(-child.pid, "SIGKILL");
      },
    };
  },
};
