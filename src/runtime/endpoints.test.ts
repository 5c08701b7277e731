import assert from "node:assert/strict";
import { test } from "node:test";
import { Endpoints, type OpenEndpoints } from "./endpoints.js";

class Opened implements OpenEndpoints {
  readonly said: string[] = [];
  /** the last client goes */
  empty = (): void => {};

  pause(): Promise<void> {
    this.said.push("pause");
    return new Promise((resolve) => {
      this.empty = resolve;
    });
  }

  async close(): Promise<void> {
    this.said.push("close");
    this.empty();
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("Endpoints closes what is paused when the last client has gone, and the rest at the end", async () => {
  const opened: Opened[] = [];
  const endpoints = new Endpoints(
    async () => {
      const each = new Opened();
      opened.push(each);
      return each;
    },
    (error) => assert.fail(`${error}`),
  );
  for (const _ of [1, 2, 3]) {
    endpoints.open();
    await turn();
    endpoints.pause();
    await turn();
  }
  endpoints.open();
  await turn();
  assert.equal(opened.length, 4);
  opened[0]?.empty();
  await turn();
  assert.deepEqual(
    opened.map(({ said }) => said.join()),
    ["pause,close", "pause", "pause", ""],
  );
  await endpoints.close();
  await turn();
  assert.deepEqual(
    opened.map(({ said }) => said.includes("close")),
    [true, true, true, true],
  );
  assert.equal(opened[0]?.said.length, 2, "once");
});

test("Endpoints that cannot be opened are told once, and can be tried again", async () => {
  const failures: unknown[] = [];
  const endpoints = new Endpoints(
    () => Promise.reject(new Error("no")),
    (error) => failures.push(error),
  );
  endpoints.open();
  await turn();
  endpoints.pause();
  await turn();
  endpoints.open();
  await turn();
  await endpoints.close();
  assert.equal(failures.length, 2);
});
