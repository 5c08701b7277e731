import assert from "node:assert/strict";
import { test } from "node:test";
import { addressDigits } from "./address-digits.js";

test("addressDigits writes an address as it is on the wire, however it was spelled", () => {
  const digits: Readonly<Record<string, string>> = {
    "127.0.0.1": "7f000001",
    "0.0.0.0": "00000000",
    "::": "0".repeat(32),
    "::1": `${"0".repeat(31)}1`,
    "fe80::1%eth0": `fe80${"0".repeat(27)}1`,
    "::ffff:10.0.0.1": `${"0".repeat(20)}ffff0a000001`,
    "2001:db8:1:2:3:4:5:6": "20010db8000100020003000400050006",
  };
  for (const [host, expected] of Object.entries(digits)) assert.equal(addressDigits(host), expected, host);
});
