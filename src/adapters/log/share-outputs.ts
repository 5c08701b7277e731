import { type BoundedWriter, boundedWriter } from "./bounded-writer.js";

const writers: BoundedWriter[] = [];

/**
 * From here on whatever this process says through process.stdout and process.stderr (console, warnings and last words of Node itself,
 * a library's notice) goes through a BoundedWriter. Node's own streams make a pipe or socket non-blocking, and with it the outputs of
 * every service that inherited it: their writes would fail with EAGAIN, also when this process is long gone.
 */
export function shareOutputs(): void {
  for (const [name, fd] of [
    ["stdout", 1],
    ["stderr", 2],
  ] as const) {
    let stream: NodeJS.WritableStream | undefined;
    Object.defineProperty(process, name, {
      configurable: true,
      enumerable: true,
      get() {
        stream ??= writableStream(fd);
        return stream;
      },
    });
  }
}

/** Resolves when what was said this way is written, or `limitMs` later. For whoever ends the process: it does not wait by itself. */
export async function finishOutputs(limitMs: number): Promise<void> {
  await Promise.all(writers.map((writer) => writer.finish(limitMs)));
}

/** Never a terminal: who asks for colours gets none. */
function writableStream(fd: number): NodeJS.WritableStream {
  // not loaded by a start that says nothing this way
  const { Writable } = process.getBuiltinModule("node:stream");
  const writer = boundedWriter(fd);
  writers.push(writer);
  const stream = new Writable({
    decodeStrings: true,
    write(bytes: Uint8Array, _encoding, done) {
      writer.write(bytes);
      done();
    },
  });
  return Object.assign(stream, { fd });
}
