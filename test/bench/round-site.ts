import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@consilium/shared/log.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { startAgent } from "@consilium/site-agent/agent.js";
import type { Trainer } from "@consilium/site-agent/trainer/protocol.js";
import { syntheticDelta } from "./synthetic-delta.js";

/**
 * One site of the round benchmark, in a process of its own: a real agent whose trainer is replaced by one that has its
 * delta at once. Arguments: home, site index. Prints CPU seconds when told to stop.
 */
const [home, index] = [process.argv[2]!, Number(process.argv[3])];

const trainer: Trainer = {
  async trainRound(job) {
    const { dimension } = parameterLayout({ model: job.config.model as never, method: job.config.method as never });
    const delta = syntheticDelta(dimension, index);
    const bytes = new Uint8Array(delta.buffer);
    mkdirSync(job.stateDirectory, { recursive: true });
    const deltaPath = join(job.stateDirectory, "delta.f32");
    writeFileSync(deltaPath, bytes);
    return {
      deltaPath,
      deltaDigest: createHash("sha256").update(bytes).digest("hex"),
      sampleCount: 100 + index,
      meanLoss: 1 + index,
      figures: {},
      steps: 1,
      imagesPerSecond: 0,
      skipped: {},
    };
  },
  stop: async () => {},
};

const agent = await startAgent({ home, logger: silentLogger, trainer });
const idle = process.cpuUsage();
process.on("message", () => {
  const { user, system } = process.cpuUsage(idle);
  process.send?.({ cpuSeconds: (user + system) / 1e6, peakRssMiB: process.resourceUsage().maxRSS / 1024 });
  void agent.stop().then(() => process.exit(0));
});
process.send?.("ready");
