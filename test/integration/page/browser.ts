import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { eventually } from "../eventually.js";

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** Path of a Chromium, or undefined where there is none. */
export function findChromium(): string | undefined {
  for (const name of ["chromium", "chromium-browser", "google-chrome", "chrome"]) {
    try {
      return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    } catch {}
  }
  return undefined;
}

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--hide-scrollbars",
  "--force-color-profile=srgb",
  "--remote-debugging-pipe",
];

/** A headless browser with one page, spoken to by the DevTools protocol over a pipe. */
export class Browser {
  /** errors, violations of the content security policy and the like */
  readonly complaints: string[] = [];
  /** every address the page asked for */
  readonly requests: string[] = [];
  readonly #child: ChildProcess;
  readonly #home: string;
  readonly #pending = new Map<number, (message: Message) => void>();
  #last = 0;
  #session: string | undefined;

  private constructor(child: ChildProcess, home: string) {
    this.#child = child;
    this.#home = home;
    let text = "";
    (child.stdio[4] as Readable).setEncoding("utf8").on("data", (part: string) => {
      text += part;
      const messages = text.split("\0");
      text = messages.pop() ?? "";
      for (const message of messages) this.#receive(JSON.parse(message));
    });
  }

  static async launch(program: string, { width = 1280, height = 900 } = {}): Promise<Browser> {
    const home = mkdtempSync(join(tmpdir(), "pe-browser-"));
    const child = spawn(
      program,
      [...flags, `--user-data-dir=${home}`, `--window-size=${width},${height}`, "about:blank"],
      {
        stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
        env: { ...process.env, HOME: home },
      },
    );
    const browser = new Browser(child, home);
    const { targetId } = await browser.#send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await browser.#send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = sessionId as string;
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await browser.#send(`${domain}.enable`);
    return browser;
  }

  async size(width: number, height: number, mobile = false): Promise<void> {
    await this.#send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: mobile ? 2 : 1,
      mobile,
    });
  }

  async media(scheme: "dark" | "light", scripts = true): Promise<void> {
    await this.#send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    await this.#send("Emulation.setScriptExecutionDisabled", { value: !scripts });
  }

  async open(url: string): Promise<void> {
    await this.#send("Page.navigate", { url });
    await eventually(async () => (await this.run("document.readyState")) === "complete", 20_000);
  }

  /** Value of a JavaScript expression in the page. */
  async run(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value?: unknown }).value;
  }

  async text(selector = "body"): Promise<string> {
    return String(await this.run(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ""`));
  }

  async screenshot(path: string): Promise<void> {
    const { data } = await this.#send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
    writeFileSync(path, Buffer.from(data as string, "base64"));
  }

  /** The tree that a screen reader gets, as role and name. */
  async accessibility(): Promise<{ readonly role: string; readonly name: string }[]> {
    const { nodes } = await this.#send("Accessibility.getFullAXTree");
    return (nodes as { role?: { value: string }; name?: { value: string }; ignored?: boolean }[])
      .filter(({ ignored }) => ignored !== true)
      .map(({ role, name }) => ({ role: role?.value ?? "", name: name?.value ?? "" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGTERM");
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 3_000);
    await gone;
    clearTimeout(late);
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 5 });
  }

  #send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#last;
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${method}: no answer`)), 30_000);
      this.#pending.set(id, ({ result, error }) => {
        clearTimeout(late);
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
    });
  }

  #receive(message: Message): void {
    if (message.id !== undefined) {
      this.#pending.get(message.id)?.(message);
      this.#pending.delete(message.id);
      return;
    }
    const { method, params = {} } = message;
    if (method === "Runtime.exceptionThrown") this.complaints.push(JSON.stringify(params.exceptionDetails));
    if (method === "Log.entryAdded") this.complaints.push(String((params.entry as { text: string }).text));
    if (method === "Network.requestWillBeSent") this.requests.push(String((params.request as { url: string }).url));
  }
}
