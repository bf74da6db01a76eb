import type { Command } from "commander";
import { addEngineDoctor } from "./engine-doctor-command.js";
import { addEngineExplain } from "./engine-explain-command.js";
import { addEngineInstall } from "./engine-install-command.js";
import { example, type Surroundings } from "./surroundings.js";

/** What the agent computes with: looking for devices, testing them, installing those that need more. */
export function addEngine(program: Command, surroundings: Surroundings): void {
  const engine = program
    .command("engine")
    .description("what this machine trains on: find, test and install devices, explain programs");
  addEngineDoctor(engine, surroundings);
  addEngineInstall(engine, surroundings);
  addEngineExplain(engine, surroundings);
  example(engine, "consilium-agent engine doctor", "consilium-agent engine install tensorflow --help");
}
