import { ConsiliumError } from "../../errors.js";
import { initialBlocks } from "../initialize.js";
import type { WarmStartPlan } from "./plan.js";

/**
 * First values of a run that starts from a file, in layout order, at most one tensor at a time: what the file has, and
 * for the rest what the seed gives without a file.
 * @throws ConsiliumError "input-unreadable" for a damaged file and for values that are not finite
 */
export async function* warmStartBlocks({ layout, sources }: WarmStartPlan, seed: number): AsyncGenerator<Float32Array> {
  for (const parameter of layout.parameters) {
    const read = sources.get(parameter.name);
    if (read === undefined) {
      yield* initialBlocks({ parameters: [parameter] }, seed);
    } else {
      const values = await read();
      requireFinite(values, parameter.name);
      yield values;
    }
  }
}

function requireFinite(values: Float32Array, name: string): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at === -1) return;
  throw new ConsiliumError("input-unreadable", `value ${at} of ${name} in the file is ${values[at]}`, {
    remedy: "give a file whose weights are finite 32-bit numbers",
  });
}
