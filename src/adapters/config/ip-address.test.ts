import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { randomOf } from "../../../test/config/random.js";
import { isIPv4, isIPv6 } from "./ip-address.js";

test("isIPv4 and isIPv6 say what node:net says, but for zones", () => {
  const known = [
    "::",
    "::1",
    "1::",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "1::8",
    "::ffff:1.2.3.4",
    "1:2:3:4:5:6:1.2.3.4",
    "fe80::1",
    "0.0.0.0",
    "255.255.255.255",
    "256.1.1.1",
    "1.2.3",
    "01.2.3.4",
    "1.2.3.4.",
    ".1.2.3",
    "1:2",
    ":::",
    "1::2::3",
    "12345::",
    "g::",
    "::1.2.3",
    "::1.2.3.4:5",
    "",
    ":",
    "1:2:3:4:5:6:7:8:9",
    "::1:2:3:4:5:6:7:8",
  ];
  const random = randomOf(1);
  const made = Array.from({ length: 20_000 }, () => {
    const parts = Array.from({ length: 1 + random.below(9) }, () =>
      random.pick(["", "0", "1", "ff", "fe80", "1.2.3.4", "255", "300", "12345", "g"]),
    );
    return parts.join(random.pick([":", ":", "."]));
  });
  for (const text of [...known, ...made]) {
    assert.equal(isIPv4(text), net.isIPv4(text), text);
    assert.equal(isIPv6(text), net.isIPv6(text), text);
  }
  assert.equal(isIPv6("fe80::1%eth0"), false);
});
