import { Registry } from "./prom-client.js";

export interface RenderedMetrics {
  readonly type: string;
  readonly body: Buffer;
}

interface Page {
  readonly body: Promise<RenderedMetrics>;
  readonly revision: number;
  readonly at: number;
  costMs: number;
}

/** A page is good for this long though nothing was reported to have changed: processor time and memory do all the time. */
const freshMs = 1_000;
/** after a rendering, this many times its cost passes before the next, and never less than `restMs` */
const restFactor = 10;
const restMs = 50;

/** Keeps the rendered text for as long as nothing has changed, and no shorter than what rendering it costs allows. */
export class Renderer {
  readonly #registries: Readonly<Record<"text" | "open", Registry>>;
  readonly #pages: { text?: Page; open?: Page } = {};
  readonly #revision: () => number;
  readonly #collect: () => void;

  constructor(registry: Registry, revision: () => number, collect: () => void) {
    this.#registries = { text: registry, open: openMetrics(registry) };
    this.#revision = revision;
    this.#collect = collect;
  }

  render(accept: string | undefined): Promise<RenderedMetrics> {
    const form = prefersOpenMetrics(accept) ? "open" : "text";
    const page = this.#pages[form];
    const now = performance.now();
    const stale = page === undefined || page.revision !== this.#revision() || now - page.at > freshMs;
    if (page !== undefined && (!stale || now - page.at < Math.max(page.costMs * restFactor, restMs))) return page.body;
    return this.#render(form, now).body;
  }

  #render(form: "text" | "open", at: number): Page {
    const registry = this.#registries[form];
    const revision = this.#revision();
    this.#collect();
    const page: Page = {
      revision,
      at,
      costMs: performance.now() - at,
      body: registry.metrics().then((text) => {
        page.costMs = performance.now() - at;
        return { type: registry.contentType, body: Buffer.from(text) };
      }),
    };
    this.#pages[form] = page;
    return page;
  }
}

/** As Prometheus asks: the media type with the highest q; text when nothing is said. */
function prefersOpenMetrics(accept = ""): boolean {
  const quality = (type: string): number =>
    Math.max(
      0,
      ...accept
        .split(",")
        .filter((range) => range.trim().startsWith(type))
        .map((range) => Number(/;\s*q=([\d.]+)/.exec(range)?.[1] ?? 1)),
    );
  const open = quality("application/openmetrics-text");
  return open > 0 && open >= quality("text/plain");
}

/** prom-client renames counters in place when it writes OpenMetrics; so that registry gets stand-ins. */
function openMetrics(source: Registry): Registry {
  const registry = new Registry();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
  for (const metric of source.getMetricsAsArray() as unknown as Readable[]) {
    const { name, type } = metric;
    const plain = type === "counter" ? name.replace(/_total$/, "") : name;
    const read = async () => {
      const found = await (metric.getForPromString?.() ?? metric.get());
      return { ...found, name: plain };
    };
    registry.registerMetric({ name, type, get: read } as never);
  }
  return registry;
}

interface Readable {
  readonly name: string;
  readonly type: string;
  get(): Promise<object>;
  getForPromString?(): Promise<object>;
}
