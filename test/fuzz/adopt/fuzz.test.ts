// A longer run: FUZZ_SECONDS=600 node scripts/test.mjs test/fuzz/adopt
import { fuzz } from "../c-targets.js";

const text = (...parts: readonly string[]) => Buffer.from(parts.join(""), "latin1");

fuzz("adopt", [
  {
    name: "offers",
    sources: ["offers.c", "text.c"],
    seeds: [
      "230:inet6:stream:[::]:8080;231:unix:stream:/run/app.sock",
      "3:inet:dgram:0.0.0.0:53;2147483647:unix:seqpacket:/a%3Bb%3ac%25",
      ";;230:inet:stream:127.0.0.1:65535;230:inet:stream::0;x:unix:dgram:/",
      "230:inet:stream:=7f000001:8080;231:unix:stream:=/run/app.sock",
      "232:inet6:dgram:=20010DB8000000000000000000000001:53;3:inet:stream:=7f00000:8;4:inet:stream:=7f000001;5:inet6:stream:=",
      `4:unix:dgram:/${"a".repeat(106)};5:unix:dgram:/${"%41".repeat(107)}`,
    ].map((variable) => text("\x0a\x00\x1f\x90", "\0".repeat(24), variable)),
  },
  {
    name: "fdinfo",
    sources: ["fdinfo.c", "text.c"],
    seeds: [
      text(
        "\x05\x03pos:\t0\nflags:\t02\ntfd:        5 events:       19 data:         16b2f1f0  pos:0 ino:1c4 sdev:8\n",
      ),
      text("\x09\xfftfd: 4 events: 80000019 data: ffffffffffffffff pos:0\ntfd: 9 events: 10000001 data: 0\ntfd: 9\n"),
    ],
  },
]);
