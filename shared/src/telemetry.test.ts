import { afterEach, describe, expect, it } from "vitest";
import {
  createTelemetry,
  type HealthReport,
  serveTelemetry,
  type Telemetry,
  type TelemetryServer,
} from "./telemetry.js";

let server: TelemetryServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function serve(telemetry: Telemetry, health: () => HealthReport = () => ({ healthy: true, checks: {} })) {
  server = await serveTelemetry({ host: "127.0.0.1", port: 0, telemetry, health });
  const { port } = server;
  return (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
}

describe("telemetry", () => {
  it("exposes metrics of every kind, and those of the process", async () => {
    const telemetry = createTelemetry();
    telemetry.counter({ name: "rounds_total", help: "Rounds.", labels: ["outcome"] }).inc({ outcome: "committed" }, 2);
    telemetry.gauge({ name: "sites_attached", help: "Sites." }).set(3);
    telemetry.histogram({ name: "round_seconds", help: "Duration.", buckets: [1, 10] }).observe(5);
    const answer = await (await serve(telemetry))("/metrics?x=1");
    expect(answer.headers.get("content-type")).toContain("version=0.0.4");
    const text = await answer.text();
    expect(text).toContain('rounds_total{outcome="committed"} 2');
    expect(text).toContain("sites_attached 3");
    expect(text).toContain('round_seconds_bucket{le="10"} 1');
    expect(text).toContain("process_cpu_seconds_total");
    expect(text).not.toMatch(/nodejs_active_(handles|requests|resources)/);
  });

  it("keeps two processes in one memory apart", async () => {
    const [first, second] = [createTelemetry({ processMetrics: false }), createTelemetry({ processMetrics: false })];
    first.gauge({ name: "same_name", help: "x" }).set(1);
    second.gauge({ name: "same_name", help: "x" }).set(2);
    expect(await first.text()).toContain("same_name 1");
    expect(await second.text()).toContain("same_name 2");
  });

  it("answers health with 200 or 503", async () => {
    let healthy = true;
    const get = await serve(createTelemetry({ processMetrics: false }), () => ({ healthy, checks: { store: "open" } }));
    const good = await get("/healthz");
    expect([good.status, await good.json()]).toEqual([200, { healthy: true, checks: { store: "open" } }]);
    healthy = false;
    expect((await get("/healthz")).status).toBe(503);
  });

  it("answers nothing else, and survives a metric that cannot be read", async () => {
    const broken = { ...createTelemetry({ processMetrics: false }), text: () => Promise.reject(new Error("broken")) };
    const get = await serve(broken);
    expect((await get("/")).status).toBe(404);
    expect((await get("/metrics", { method: "POST" })).status).toBe(405);
    const failed = await get("/metrics");
    expect([failed.status, await failed.text()]).toEqual([500, "The metrics cannot be read.\n"]);
  });

  it("says when its address is taken", async () => {
    const telemetry = createTelemetry({ processMetrics: false });
    await serve(telemetry);
    const health = () => ({ healthy: true, checks: {} });
    const again = serveTelemetry({ host: "127.0.0.1", port: server!.port, telemetry, health });
    await expect(again).rejects.toMatchObject({ code: "unreachable" });
  });
});
