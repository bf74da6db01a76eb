import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { ConsiliumError } from "./errors.js";

export interface MetricName<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
}

export type ReadGauge<L extends string> = (gauge: Gauge<L>, nowMs: number) => void;

/** The metrics of one process, apart from those of any other in the same memory (as in a simulation). */
export interface Telemetry {
  counter<L extends string = never>(metric: MetricName<L>): Counter<L>;
  /** `read` sets the gauge whenever someone looks at it. */
  gauge<L extends string = never>(metric: MetricName<L> & { readonly read?: ReadGauge<L> }): Gauge<L>;
  histogram<L extends string = never>(metric: MetricName<L> & { readonly buckets: readonly number[] }): Histogram<L>;
  /** Prometheus text exposition format. */
  text(): Promise<string>;
  readonly contentType: string;
}

export interface HealthReport {
  readonly healthy: boolean;
  /** Name of a part to how it is, in a few words that may be public. */
  readonly checks: Readonly<Record<string, string>>;
}

/** Each walks all handles of the process at every scrape, which is slow with many connections. */
const unwanted = ["handles", "requests", "resources"].flatMap((kind) => [
  `nodejs_active_${kind}`,
  `nodejs_active_${kind}_total`,
]);

export function createTelemetry(options: { processMetrics?: boolean } = {}): Telemetry {
  const registry = new Registry();
  if (options.processMetrics ?? true) {
    collectDefaultMetrics({ register: registry });
    for (const name of unwanted) registry.removeSingleMetric(name);
  }
  const shape = <L extends string>({ name, help, labels = [] }: MetricName<L>) => ({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
  });
  return {
    counter: (metric) => new Counter(shape(metric)),
    gauge: <L extends string>({ read, ...metric }: MetricName<L> & { readonly read?: ReadGauge<L> }) => {
      const collect = read && { collect: (): void => read(gauge, Date.now()) };
      const gauge: Gauge<L> = new Gauge({ ...shape(metric), ...collect });
      return gauge;
    },
    histogram: (metric) => new Histogram({ ...shape(metric), buckets: [...metric.buckets] }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

export interface TelemetryServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves /metrics and /healthz over plain HTTP; meant for loopback or a network of its own. Throws unreachable. */
export async function serveTelemetry(options: {
  host: string;
  port: number;
  telemetry: Telemetry;
  health: () => HealthReport;
}): Promise<TelemetryServer> {
  const { host, port, telemetry, health } = options;
  const server = createServer((request, response) => {
    void answer(request, telemetry, health).then(
      ({ status, type, body }) => reply(response, status, { type, body }),
      () => reply(response, 500, { type: "text/plain", body: "The metrics cannot be read.\n" }),
    );
  });
  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function answer(request: IncomingMessage, telemetry: Telemetry, health: () => HealthReport): Promise<Answer> {
  const path = (request.url ?? "/").split("?", 1)[0];
  if (path !== "/metrics" && path !== "/healthz") return { status: 404, type: "text/plain", body: "Not found.\n" };
  if (request.method !== "GET") return { status: 405, type: "text/plain", body: "Use GET.\n" };
  if (path === "/metrics") return { status: 200, type: telemetry.contentType, body: await telemetry.text() };
  const report = health();
  return { status: report.healthy ? 200 : 503, type: "application/json", body: `${JSON.stringify(report)}\n` };
}

function reply(response: ServerResponse, status: number, { type, body }: { type: string; body: string }): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    ...(status === 405 ? { allow: "GET" } : {}),
  });
  response.end(body);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const remedy = "Choose a free port and an address of this machine.";
      reject(new ConsiliumError("unreachable", `Metrics cannot be served on ${host}:${port}.`, { remedy, cause }));
    });
    server.listen(port, host, resolve);
  });
}
