import { closeSync, openSync, writeSync } from "node:fs";
import { connectInit } from "../../../src/adapters/init/connect.js";
import type { InitEvent } from "../../../src/runtime/ports.js";

/** Bundled by client.test.ts as the supervisor of a real init: does everything that lines are for, and says what came of it. */
function say(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}

const [role = "first", program = "", lock = ""] = process.env.TEST_ROLE?.split(" ") ?? [];
const init = await connectInit(process.env);
const { restarts, lines } = init.recovered;
const events: InitEvent[] = [];
let woken = () => {};
init.listen((event) => {
  if (event.kind === "reaped") return;
  events.push(event);
  woken();
});
const until = async (kind: InitEvent["kind"]): Promise<void> => {
  while (!events.some((event) => event.kind === kind)) {
    await new Promise<void>((done) => {
      woken = done;
    });
  }
};

const start = (words: string) =>
  init.successor({ argv: [process.execPath, ...process.argv.slice(1)], env: [`TEST_ROLE=candidate ${words}`] });

say({ role, line: init.line, primary: init.primary, restarts, lines: lines.map(({ line }) => line) });
if (role === "candidate") {
  if (program === "own") {
    init.own();
    say({ role, primary: init.primary });
    // the former primary goes, and this one has the code
    await until("ended");
    init.exit(7);
  }
} else if (restarts === 0) {
  say(await init.successor({ argv: ["/nonexistent"], env: [] }));
  const abandoned = await start("stays");
  say({ ok: abandoned.ok, line: abandoned.ok && abandoned.line });
  if (abandoned.ok) init.abandon(abandoned.line);
  await until("ended");
  say(events);
  say(await init.replace("/bin/true"));
  say(await init.replace(program));
  const fd = openSync(lock, "w");
  init.standby(fd);
  closeSync(fd);
  process.exit(0);
} else {
  say({ ok: (await start("own")).ok });
  await until("signal");
  init.exit(3);
}
