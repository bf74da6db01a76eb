import { ConsiliumError } from "@consilium/shared/errors.js";
import type { HostTensors, NamedTensors } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { checkTensors } from "./check-tensors.js";
import type { EagerRunner } from "./eager-engine.js";
import { disposeAll, readAll } from "./eager-tensors.js";
import type { HeldState } from "./program.js";

/** State as tensors on a TensorFlow.js backend: only the other inputs and outputs travel. */
export class EagerHeldState implements HeldState {
  #state: NamedTensors;

  /** @throws ConsiliumError "internal" when the state is not an input of the program */
  constructor(
    private readonly runner: EagerRunner,
    state: HostTensors,
  ) {
    const names = Object.keys(state);
    const specs = pick(runner.program.inputs, (name) => name in state);
    const foreign = names.find((name) => !(name in specs));
    if (foreign !== undefined) {
      throw new ConsiliumError("internal", `program ${runner.program.name} has no input "${foreign}" to hold`);
    }
    checkTensors(runner.program.name, specs, state);
    this.#state = runner.within(() => kept(runner.upload(state, names)));
  }

  async advance(inputs: HostTensors, accepts: (outputs: HostTensors) => boolean): Promise<HostTensors> {
    const { program } = this.runner;
    const others = pick(program.inputs, (name) => !(name in this.#state));
    checkTensors(program.name, others, inputs);
    return this.runner.within(() => {
      const results = program.build({ ...this.runner.upload(inputs, Object.keys(others)), ...this.#state });
      const rest = pick(results, (name) => !(name in this.#state));
      const outputs = readAll(rest);
      if (accepts(outputs)) this.#replace(results);
      // A result may be the held tensor itself.
      const held = new Set(Object.values(this.#state));
      disposeAll(Object.fromEntries(Object.entries(results).filter(([, tensor]) => !held.has(tensor))));
      return outputs;
    });
  }

  async read(): Promise<HostTensors> {
    return this.runner.within(() => readAll(this.#state));
  }

  async release(): Promise<void> {
    disposeAll(this.#state);
    this.#state = {};
  }

  #replace(results: NamedTensors): void {
    const next = Object.keys(this.#state).map((name): [string, Tensor] => {
      const result = results[name];
      if (result === undefined) {
        throw new ConsiliumError("internal", `program ${this.runner.program.name} does not hand back "${name}"`);
      }
      // A tensor may come back as it went in, or under two names: each name owns one handle on the values.
      return [name, result.clone()];
    });
    disposeAll(this.#state);
    this.#state = kept(Object.fromEntries(next));
  }
}

function kept(tensors: NamedTensors): NamedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tf.keep(tensor)]));
}

function pick<T>(entries: Readonly<Record<string, T>>, wanted: (name: string) => boolean): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).filter(([name]) => wanted(name)));
}
