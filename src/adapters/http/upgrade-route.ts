import { isAbsolute, resolve } from "node:path";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { EntryError } from "../../core/entry-error.js";
import { problemText } from "../../core/problem-text.js";
import type { UpgradeOrder, UpgradeOutcome, UpgradeProgress } from "../../core/upgrade-outcome.js";
import { askedAgain, outcomeWords, progressWords, type UpgradeWords, upgradeExit } from "../../core/upgrade-words.js";
import type { Control } from "../../runtime/ports.js";
import { refuse, untilGone } from "./answer.js";
import { bodyFields } from "./body-fields.js";

/**
 * `POST /v1/upgrade`, body `{"path": DIR, "conf": [FILE, ...], "wait": BOOL}`, all optional. Answers JSON lines as it goes:
 * `{"kind": "progress", ...}`, and last `{"kind": "outcome", ...}`. A client that goes away does not end the upgrade.
 *
 * `POST /v1/upgrade/terminal` is the same in the words of the command, for the native program (upgrade.c). Each line begins with a letter:
 * `>` to be printed on stdout, `!` on stderr, `#` the name of the attempt that is under way (empty: none), `=` the exit code, last.
 */
export function upgradeRoute(app: FastifyInstance, control: Pick<Control, "upgrade">): void {
  app.post("/v1/upgrade", (request, reply) => upgrade(control, request, reply, () => json));
  app.post<{ Querystring: { readonly colour?: string } }>("/v1/upgrade/terminal", (request, reply) =>
    upgrade(control, request, reply, (order) => terminal(order, request.query.colour === "true")),
  );
}

/** An answer's lines. */
interface Form {
  readonly type: string;
  readonly progress: (progress: UpgradeProgress) => string;
  readonly outcome: (outcome: UpgradeOutcome) => string;
  readonly error: (error: EntryError) => string;
}

const jsonLine = (kind: string, fields: object): string => `${JSON.stringify({ kind, ...fields })}\n`;

const json: Form = {
  type: "application/x-ndjson; charset=utf-8",
  progress: (progress) => jsonLine("progress", progress),
  outcome: (outcome) => jsonLine("outcome", outcome),
  error: ({ reason, message }) => jsonLine("error", { reason, error: message }),
};

function terminal({ wait }: UpgradeOrder, colour: boolean): Form {
  let attempt = "";
  const words = ({ out, err }: UpgradeWords): string => marked("!", err) + marked(">", out);
  return {
    type: "text/plain; charset=utf-8",
    progress(progress) {
      // one that was refused is tried again under another name
      const now = progress.step === "wait" ? "" : progress.attempt;
      const named = now === attempt ? "" : `#${now}\n`;
      attempt = now;
      return named + words(progressWords(progress, colour));
    },
    outcome(outcome) {
      // who waits asks whoever answers then
      const again = wait && outcome.result === "busy";
      const said = again
        ? progressWords(askedAgain(outcome.attempt, outcome.at, outcome.reason), colour)
        : outcomeWords(outcome, colour);
      return `${words(said)}=${upgradeExit[outcome.result]}\n`;
    },
    error: (error) => `${marked("!", problemText("pingora-entry", error))}=${error.exitCode}\n`,
  };
}

function marked(mark: string, lines: string): string {
  // newlines alone end a line there
  return lines.replace(/[^\n]*\n/g, (line) => mark + line);
}

async function upgrade(
  control: Pick<Control, "upgrade">,
  request: FastifyRequest,
  reply: FastifyReply,
  formOf: (order: UpgradeOrder) => Form,
): Promise<FastifyReply> {
  const order = readOrder(bodyFields(request));
  if (typeof order === "string") return refuse(request, reply, 400, `cannot upgrade: ${order}`);
  const form = formOf(order);
  const gone = untilGone(reply);
  reply.hijack();
  // a client that gave up while nobody read what it had sent (a supervisor that stood still, or came back) has ordered nothing
  await readOn();
  if (gone.aborted) return reply;
  const { raw } = reply;
  raw.on("error", () => {});
  raw.writeHead(200, { "content-type": form.type, "cache-control": "no-store" });
  raw.flushHeaders();
  const say = (lines: string): void => {
    if (!raw.destroyed) raw.write(lines);
  };
  const outcome = await control.upgrade(order, (progress) => say(form.progress(progress)), gone).catch(expected);
  say(outcome instanceof EntryError ? form.error(outcome) : form.outcome(outcome));
  raw.end();
  return reply;
}

/** Resolves when all has been read that a client had sent with its request: also the end, which a Node tells one to three turns later. */
async function readOn(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await new Promise((turn) => setImmediate(turn));
}

function expected(error: unknown): EntryError {
  if (error instanceof EntryError) return error;
  throw error;
}

/** The order, or what is wrong with it. */
function readOrder({ path, conf = [], wait = false }: Readonly<Record<string, unknown>>): UpgradeOrder | string {
  if (path !== undefined && !isPath(path)) return "path must be an absolute path";
  if (!Array.isArray(conf) || !conf.every(isPath)) return "conf must be a list of absolute paths";
  if (typeof wait !== "boolean") return "wait must be true or false";
  return { conf: conf.map((file) => resolve(file)), wait, ...(path === undefined ? {} : { path: resolve(path) }) };
}

function isPath(value: unknown): value is string {
  return typeof value === "string" && isAbsolute(value) && !value.includes("\0");
}
