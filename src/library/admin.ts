import { createServer } from "node:http";
import { liveness, readiness } from "../core/views.js";
import type { BoundListener, Control } from "../runtime/ports.js";

export async function openAdmin({
  listeners,
  control,
}: {
  listeners: ReadonlyMap<string, BoundListener>;
  control: Control;
}) {
  const server = createServer((request, response) => {
    if (request.url === "/status") return response.end(JSON.stringify(control.snapshot()));
    if (request.url === "/prestop")
      return void control.prestop(new AbortController().signal).then(() => response.end("drained\n"));
    const view = request.url?.startsWith("/readyz") ? readiness(control.snapshot()) : liveness(control.snapshot());
    response.statusCode = view.ok ? 200 : 503;
    response.end(view.checks.map((c) => `[${c.ok ? "+" : "-"}]${c.name} ${c.reason}\n`).join(""));
  });
  const fd = listeners.get("admin/control")?.fd;
  await new Promise<void>((done) => server.listen({ fd }, done));
  return {
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
