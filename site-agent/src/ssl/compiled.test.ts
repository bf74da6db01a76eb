import { describe, expect, it } from "vitest";
import { relativeDifference, runBoth } from "../engine/testing/agreement.js";
import { useFastFilterGradient } from "../engine/testing/filter-gradient.js";
import { configOf, gradientInputs, gradientProgram, smallMethods } from "../engine/testing/method-gradients.js";
import type { HostTensor, HostTensors } from "../model/tensors.js";

const { simclr, byol, mae, colorme } = smallMethods;
const vit = { imageSize: 16, patchSize: 4 };
const resnet = { architecture: "resnet18" };

const cases = [
  { on: "vit-nano", model: vit, method: simclr },
  { on: "vit-nano", model: vit, method: mae },
  { on: "vit-nano", model: vit, method: byol },
  { on: "vit-nano, stochastic depth", model: { ...vit, dropPath: 0.5 }, method: byol },
  { on: "vit-nano", model: vit, method: colorme },
  { on: "resnet18", model: { ...resnet, imageSize: 16 }, method: byol },
  { on: "resnet18", model: { ...resnet, imageSize: 32 }, method: colorme },
] as const;

/**
 * Of gradients, relative to their size. Twenty norms over three images, one after the other, enlarge rounding errors a
 * thousandfold; `engine/trace/resnet.test.ts` holds the network to the narrow one on larger images.
 */
const toleranceOf = (on: string) => (on === "resnet18" ? 2e-2 : 1e-4);

const batch = 3;

/**
 * Images of unlike brightness, because norms over a batch of images that look alike blow rounding errors up. Norms shift
 * every channel by two deviations, down where its number is a multiple of four: otherwise values lie near a rectifier's
 * corner, where rounding changes a deep network's gradients.
 */
function wellConditioned(inputs: HostTensors): HostTensors {
  const shifted = (name: string) => /(?:bn\d|downsample\.1|conv\d\.1|(?:projector|predictor)\.norm)\.bias$/.test(name);
  const brighter = (value: number, at: number, size: number) => (value * (1 + Math.floor((at * batch) / size))) / batch;
  return Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]): [string, HostTensor] => {
      const { data } = tensor;
      if (data instanceof Uint8Array)
        return [name, { ...tensor, data: data.map((x, at) => brighter(x, at, data.length)) }];
      if (!shifted(name)) return [name, tensor];
      return [name, { ...tensor, data: Float32Array.from(data, (_, at) => (at % 4 === 0 ? -2 : 2)) }];
    }),
  );
}

const largestOf = ({ data }: HostTensor) =>
  Array.from(data).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

describe("methods on the compiled engine", () => {
  it.each(cases)(
    "$method.name on $on has the loss, terms and gradients of the eager engine",
    async ({ on, model, method }) => {
      useFastFilterGradient();
      const config = configOf({ model, method });
      const inputs = wellConditioned(gradientInputs(config, batch));
      const { eager, compiled } = await runBoth(gradientProgram(config, batch), inputs);
      expect(Object.keys(compiled)).toEqual(Object.keys(eager));
      expect(relativeDifference(eager["loss"]!, compiled["loss"]!)).toBeLessThan(on === "resnet18" ? 1e-4 : 1e-5);
      // What has no effect, as a bias in front of a batch norm, has a gradient of rounding errors alone.
      const floor = 1e-2 * Math.max(...Object.values(eager).map(largestOf));
      const far = Object.entries(eager).map(([name, expected]) => {
        const scale = name.startsWith("gradient/") ? Math.max(largestOf(expected), floor) : largestOf(expected);
        const gap = [...compiled[name]!.data].reduce(
          (most, x, at) => Math.max(most, Math.abs(x - expected.data[at]!)),
          0,
        );
        return [name, gap / scale] as const;
      });
      expect(far.filter(([, distance]) => !(distance < toleranceOf(on)))).toEqual([]);
    },
    120_000,
  );
});
