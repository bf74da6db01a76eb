import { createTelemetry } from "@consilium/shared/telemetry.js";
import { describe, expect, it } from "vitest";
import { agentMetrics } from "./metrics.js";

const key = { runId: "run-1", round: 1, attempt: 1 };

describe("the agent's metrics", () => {
  it("count what happens", async () => {
    const telemetry = createTelemetry({ processMetrics: false });
    const metrics = agentMetrics(telemetry);
    metrics.connected(true);
    metrics.sent(100);
    metrics.received(200);
    metrics.state({ kind: "training", key, stepsDone: 0 });
    const prepared = { runId: "run-1", precision: "float32", reason: "asked for", compileMs: 1500 } as const;
    metrics.prepared({ ...prepared, device: "webgpu", cache: "miss" });
    metrics.prepared({ ...prepared, device: "cpu", cache: "hit", compileMs: 400 });
    metrics.prepared({ ...prepared, device: "cpu", cache: "damaged" });
    const terms = { featureSpread: 0.7, patients: 4 };
    metrics.progress({ phase: "training", step: 3, steps: 5, loss: 2.5, terms, imagesPerSecond: 40 });
    metrics.trained({
      ...{ deltaPath: "d", deltaDigest: "0".repeat(64), sampleCount: 90, meanLoss: 2, steps: 5, imagesPerSecond: 50 },
      ...{ figures: {}, skipped: { truncated: 2 } },
    });
    metrics.state({ kind: "done", key });
    metrics.refused("jobs.maxRounds");
    metrics.worked("train", 1500);
    const text = await telemetry.text();
    for (const line of [
      "consilium_agent_connected 1",
      "consilium_agent_sent_bytes_total 100",
      "consilium_agent_received_bytes_total 200",
      'consilium_agent_rounds_total{outcome="done"} 1',
      'consilium_agent_rounds_total{outcome="failed"} 0',
      'consilium_agent_refusals_total{clause="jobs.maxRounds"} 1',
      'consilium_agent_engine_info{device="cpu",precision="float32"} 1',
      "consilium_agent_compile_seconds 1.5",
      "consilium_agent_program_cache_hits_total 1",
      "consilium_agent_program_cache_misses_total 2",
      "consilium_agent_program_cache_damaged_total 1",
      "consilium_agent_training_images_per_second 50",
      "consilium_agent_training_loss 2.5",
      'consilium_agent_training_term{term="featureSpread"} 0.7',
      "consilium_agent_training_steps 3",
      "consilium_agent_usable_images 90",
      'consilium_agent_quarantined_images{reason="truncated"} 2',
      'consilium_agent_stage_duration_seconds_sum{stage="train"} 1.5',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    expect(text).not.toContain("webgpu");
    expect(text).not.toContain("patients");
    metrics.progress({ phase: "preparing", step: 0, steps: 5 });
    expect(await telemetry.text()).not.toContain("featureSpread");
  });
});
