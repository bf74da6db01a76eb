import { affineOf, lpsToRas } from "./affine.js";
import type { SeriesFrame } from "./series-stacks.js";
import type { Affine, Triple } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";

/** Distances between slices may differ by this share of the usual one: positions are rounded in files. */
const tolerance = 0.1;

/** Positions closer than this are the same, in millimetres. */
const samePlace = 1e-3;

export interface StackGeometry {
  /** From one end of the stack to the other, one for each place. */
  readonly frames: readonly SeriesFrame[];
  readonly affine: Affine;
}

/**
 * Orders slices along their normal. Of several at one place, such as the moments of a perfusion series, the echoes of
 * one slice, or copies of a file, the first by instance number counts. Spacing comes from the positions, not from the
 * slice thickness, which says how thick slices are rather than how far apart.
 * @throws VolumeFault "damaged" when slices are missing, lie at uneven distances, or have no proper orientation
 */
export function stackGeometry(frames: readonly SeriesFrame[]): StackGeometry {
  const { geometry } = frames[0]!;
  const { spacing } = geometry;
  const [across, down] = cosines(geometry.orientation!);
  const normal = cross(across, down);
  const placed = frames.map((frame) => ({ frame, at: dot(normal, positionOf(frame)) }));
  placed.sort(
    (a, b) => a.at - b.at || a.frame.instanceNumber - b.frame.instanceNumber || a.frame.frame - b.frame.frame,
  );
  const places = onePerPlace(placed);
  requireEven(places.map(({ at }) => at));
  const ordered = places.map(({ frame }) => frame);
  const first = positionOf(ordered[0]!);
  const columns = [scaled(across, spacing!.x), scaled(down, spacing!.y), stepOf(ordered, normal)] as const;
  return { frames: ordered, affine: lpsToRas(affineOf(columns, first)) };
}

interface Placed {
  readonly frame: SeriesFrame;
  /** Along the normal, in millimetres. */
  readonly at: number;
}

function onePerPlace(placed: readonly Placed[]): readonly Placed[] {
  const groups: Placed[][] = [];
  for (const entry of placed) {
    const group = groups.at(-1);
    if (group !== undefined && entry.at - group[0]!.at < samePlace) group.push(entry);
    else groups.push([entry]);
  }
  return groups.map((group) => group.reduce((best, other) => (isEarlier(other.frame, best.frame) ? other : best)));
}

function isEarlier(a: SeriesFrame, b: SeriesFrame): boolean {
  if (a.instanceNumber !== b.instanceNumber) return a.instanceNumber < b.instanceNumber;
  if (a.fileId !== b.fileId) return a.fileId < b.fileId;
  return a.frame < b.frame;
}

function requireEven(places: readonly number[]): void {
  const gaps = places.slice(1).map((place, index) => place - places[index]!);
  const usual = gaps.toSorted((a, b) => a - b)[gaps.length >> 1];
  if (usual === undefined) return;
  if (gaps.some((gap) => gap > (2 - tolerance) * usual)) throw new VolumeFault("damaged", "slices are missing");
  if (gaps.some((gap) => Math.abs(gap - usual) > tolerance * usual)) {
    throw new VolumeFault("damaged", "its slices lie at uneven distances");
  }
}

/** From slice to slice, askew where the scanner's gantry was tilted; of a single one, along the normal. */
function stepOf(ordered: readonly SeriesFrame[], normal: Triple): Triple {
  const [first, last] = [positionOf(ordered[0]!), positionOf(ordered.at(-1)!)];
  const count = ordered.length - 1;
  if (count > 0) return [(last[0] - first[0]) / count, (last[1] - first[1]) / count, (last[2] - first[2]) / count];
  const { sliceSpacing, sliceThickness } = ordered[0]!.geometry;
  const told = [sliceSpacing, sliceThickness].find((length) => length !== undefined && length > 0);
  return scaled(normal, told ?? 1);
}

/** PS3.3 C.7.6.2.1.1: two unit vectors at right angles. */
function cosines([a, b, c, d, e, f]: readonly number[]): readonly [Triple, Triple] {
  const [across, down]: [Triple, Triple] = [
    [a!, b!, c!],
    [d!, e!, f!],
  ];
  const off = [Math.hypot(...across) - 1, Math.hypot(...down) - 1, dot(across, down)];
  if (!off.every((value) => Math.abs(value) < 0.01)) throw new VolumeFault("damaged", "its orientation is none");
  return [across, down];
}

function positionOf({ geometry }: SeriesFrame): Triple {
  const [x, y, z] = geometry.position!;
  return [x!, y!, z!];
}

function dot(a: Triple, b: Triple): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function cross(a: Triple, b: Triple): Triple {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function scaled(vector: Triple, factor: number): Triple {
  return [vector[0] * factor, vector[1] * factor, vector[2] * factor];
}
