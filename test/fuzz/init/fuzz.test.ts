// A longer run: FUZZ_SECONDS=600 node scripts/test.mjs test/fuzz/init

import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { fuzz } from "../c-targets.js";
import { answerSeeds, httpSeeds, optionSeeds, orderSeeds, procSeeds, stateSeeds } from "./seeds.js";

const init = resolve("src/native/init");

fuzz("init", [
  { name: "http", seeds: httpSeeds, sources: ["http.c"] },
  // it includes upgrade.c
  { name: "answer", seeds: answerSeeds, sources: ["number.c"] },
  { name: "options", seeds: optionSeeds, sources: ["options.c", "number.c"] },
  // it includes proc.c, with the system calls replaced
  { name: "proc", seeds: procSeeds, sources: ["number.c"] },
  {
    name: "state",
    seeds: stateSeeds,
    sources: readdirSync(init).filter(
      (file) =>
        file.endsWith(".c") &&
        !["main.c", "supervise.c", "wrap.c", "request.c", "upgrade.c", "exchange.c", "http.c"].includes(file),
    ),
    flags: ["-Dclose=fuzz_close", "-Dkill=fuzz_kill"],
  },
  {
    name: "orders",
    seeds: orderSeeds,
    sources: [
      "frame.c",
      "number.c",
      "orders.c",
      "spawn_order.c",
      "children.c",
      "greeting.c",
      "held.c",
      "inbox.c",
      "line.c",
      "report.c",
      "state.c",
    ],
  },
]);
