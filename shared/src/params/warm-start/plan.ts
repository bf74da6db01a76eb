import { isVit } from "../../config/model-config.js";
import { ConsiliumError } from "../../errors.js";
import { gridSize } from "../architecture.js";
import { teacherPrefix } from "../carried.js";
import type { ParameterLayout, PlacedParameter } from "../layout.js";
import { encoderTensorNames, type LayoutConfig } from "../parameters.js";
import type { FoundTensor, FoundWeights } from "./find-weights.js";
import { fitPositions, type PositionGrid, positionGrid, resizeRule } from "./fit-positions.js";

/** What became of each tensor. The first three together are the names of the layout; the last is the file's. */
export interface WarmStartReport {
  /** Dictionaries of the file that led to the weights; "" where they lie bare. */
  readonly container: string;
  readonly matched: readonly string[];
  readonly resized: readonly ResizedTensor[];
  /** In the layout only: they start as without a file. */
  readonly missing: readonly string[];
  /** In the file only: not used. */
  readonly unexpected: readonly string[];
}

export interface ResizedTensor {
  readonly name: string;
  /** Patches along one side. */
  readonly from: number;
  readonly to: number;
  /** Whether a row of zeros for the class token was put before them. */
  readonly classRowAdded: boolean;
}

/** Reads a tensor's first values from the file. */
export type ReadValues = () => Promise<Float32Array>;

export interface WarmStartPlan {
  readonly layout: ParameterLayout;
  readonly report: WarmStartReport;
  /** For the layout's tensors that the file has. */
  readonly sources: ReadonlyMap<string, ReadValues>;
}

/**
 * Decides for every tensor of a checkpoint whether it starts from the file, without reading any values. A teacher's
 * tensors start as its student's. Heads and decoders are not taken from files.
 * @param layout of the checkpoint, see `checkpointLayout`
 * @throws ConsiliumError "input-unsupported" when nothing fits, a tensor has another shape (positions apart, which are
 * resized), or the file has another number of blocks
 */
export function planWarmStart(weights: FoundWeights, layout: ParameterLayout, config: LayoutConfig): WarmStartPlan {
  const encoder = encoderNames(layout);
  const usable = new Map(
    [...weights.tensors].filter(([name, tensor]) => encoder.has(name) && !isDecoders(name, tensor)),
  );
  if (![...usable.keys()].some((name) => isTrunk(name))) throw nothingFits(weights);
  requireBlocks(weights, encoder);
  const fits = fitAll(layout, usable, config);
  const used = new Set(layout.parameters.map(({ name }) => studentName(name)).filter((name) => usable.has(name)));
  const names = layout.parameters.map(({ name }) => name);
  const report = {
    container: weights.container,
    matched: names.filter((name) => fits.get(name)?.resized === undefined && fits.has(name)),
    resized: names.flatMap((name) => fits.get(name)?.resized ?? []),
    missing: names.filter((name) => !fits.has(name)),
    unexpected: [...weights.tensors].filter(([name]) => !used.has(name)).flatMap(([, { from }]) => from),
  };
  return { layout, report, sources: new Map([...fits].map(([name, { read }]) => [name, read])) };
}

function studentName(name: string): string {
  return name.startsWith(teacherPrefix) ? name.slice(teacherPrefix.length) : name;
}

/** Of the student; with the token that masked methods show their encoder, which a decoder's has more dimensions than. */
function encoderNames(layout: ParameterLayout): ReadonlySet<string> {
  const mask = layout.parameters.filter(({ name, shape }) => name === "mask_token" && shape.length === 2);
  return new Set([...encoderTensorNames(layout), ...mask.map(({ name }) => name)]);
}

function isDecoders(name: string, { shape }: FoundTensor): boolean {
  return name === "mask_token" && shape.length === 3;
}

const block = /^(?:blocks\.\d+|layer[1-4]\.\d+)\./;

/** What every encoder of the kind has, unlike tokens and positions. */
function isTrunk(name: string): boolean {
  return block.test(name) || /^(?:patch_embed|conv1)\./.test(name);
}

function nothingFits({ tensors }: FoundWeights): ConsiliumError {
  const some = [...tensors.values()].slice(0, 3).flatMap(({ from }) => from.slice(0, 1));
  return new ConsiliumError(
    "input-unsupported",
    `the file has no tensor of the run's encoder; it has ${some.join(", ")}, …`,
    {
      remedy: "give weights of a ViT as timm, DINO, MAE or Hugging Face name them, or of a ResNet as torchvision does",
    },
  );
}

function blocksOf(names: Iterable<string>): Set<string> {
  return new Set([...names].flatMap((name) => block.exec(name) ?? []));
}

function requireBlocks({ tensors }: FoundWeights, encoder: ReadonlySet<string>): void {
  const [found, wanted] = [blocksOf(tensors.keys()), blocksOf(encoder)];
  const odd = [...found].find((name) => !wanted.has(name)) ?? [...wanted].find((name) => !found.has(name));
  if (odd === undefined) return;
  const counts = `${found.size} blocks where the run's encoder has ${wanted.size}`;
  throw new ConsiliumError("input-unsupported", `the file has ${counts}; ${odd.slice(0, -1)} is in one of them only`, {
    remedy: "choose the model.architecture that the file was made with",
  });
}

interface Fit {
  readonly read: ReadValues;
  readonly resized?: ResizedTensor;
}

interface WrongShape {
  readonly name: string;
  readonly found: readonly number[];
  readonly wanted: readonly number[];
}

function fitAll(
  layout: ParameterLayout,
  usable: ReadonlyMap<string, FoundTensor>,
  config: LayoutConfig,
): ReadonlyMap<string, Fit> {
  const fits = new Map<string, Fit>();
  const wrong: WrongShape[] = [];
  for (const parameter of layout.parameters) {
    const name = studentName(parameter.name);
    const tensor = usable.get(name);
    if (tensor === undefined) continue;
    const fit =
      name === "pos_embed"
        ? fitGrid(parameter, tensor, { config, hasRegisters: usable.has("register_tokens") })
        : fitExactly(parameter, tensor);
    if (fit === undefined) wrong.push({ name: parameter.name, found: tensor.shape, wanted: parameter.shape });
    else fits.set(parameter.name, fit);
  }
  if (wrong.length > 0) throw wrongShapes(wrong.filter(({ name }) => !name.startsWith(teacherPrefix)));
  return fits;
}

function fitExactly({ shape }: PlacedParameter, tensor: FoundTensor): Fit | undefined {
  const same = shape.length === tensor.shape.length && shape.every((extent, axis) => extent === tensor.shape[axis]);
  return same ? { read: () => tensor.read() } : undefined;
}

function fitGrid(
  { name, shape }: PlacedParameter,
  tensor: FoundTensor,
  { config: { model }, hasRegisters }: { readonly config: LayoutConfig; readonly hasRegisters: boolean },
): Fit | undefined {
  const grid: PositionGrid | undefined = positionGrid(tensor.shape);
  if (grid === undefined || grid.width !== shape[2] || !isVit(model)) return undefined;
  const to = gridSize(model);
  const { side: from, hasClassRow } = grid;
  if (from === to && hasClassRow) return { read: () => tensor.read() };
  return {
    read: () => fitPositions(tensor, grid, { to, rule: resizeRule(hasRegisters) }),
    resized: { name, from, to, classRowAdded: !hasClassRow },
  };
}

function wrongShapes(wrong: readonly WrongShape[]): ConsiliumError {
  const said = wrong
    .slice(0, 3)
    .map(({ name, found, wanted }) => `${name} is [${found.join(", ")}], the run needs [${wanted.join(", ")}]`);
  const more = wrong.length > said.length ? `; and ${wrong.length - said.length} more` : "";
  return new ConsiliumError("input-unsupported", `tensors of the file have other shapes: ${said.join("; ")}${more}`, {
    remedy: "set model.architecture, model.patchSize and model.registers as the file has them",
  });
}
