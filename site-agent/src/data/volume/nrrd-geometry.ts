import { affineOf, lpsToRas, mapAxes, scaledAffine } from "./affine.js";
import { type NrrdFields, requiredField } from "./nrrd-header.js";
import type { Affine, Triple } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";

export interface NrrdGeometry {
  readonly dims: Triple;
  readonly affine: Affine;
}

const millimetres: Readonly<Record<string, number>> = { mm: 1, cm: 10, m: 1000, um: 0.001, μm: 0.001 };

/**
 * Sides and orientation. A fourth axis must be the slowest and is of time or such: its first place is read.
 * @throws VolumeFault "unsupported-pixels" for other axes, "damaged"
 */
export function nrrdGeometry(fields: NrrdFields): NrrdGeometry {
  const dimension = Number(requiredField(fields, "dimension"));
  const sizes = requiredField(fields, "sizes").split(/\s+/).map(Number);
  if (!(dimension >= 1 && dimension <= 16) || sizes.length !== dimension) {
    throw new VolumeFault("damaged", "its sides do not fit its dimension");
  }
  if (sizes.some((size) => !(size > 0))) throw new VolumeFault("damaged", "a side has no length");
  const directions = directionsOf(fields, dimension);
  const first = directions?.slice(0, 3) ?? [];
  const kinds = fields.get("kinds")?.toLowerCase().split(/\s+/) ?? [];
  if (first.includes(undefined) || kinds.slice(0, 3).some((kind) => !spatialKinds.has(kind))) {
    throw new VolumeFault("unsupported-pixels", "voxels with several values each");
  }
  const columns = mapAxes((axis): Triple => first[axis] ?? standing(fields, axis, directions !== undefined));
  return { dims: mapAxes((axis) => sizes[axis] ?? 1), affine: oriented(fields, affineOf(columns, originOf(fields))) };
}

const spatialKinds: ReadonlySet<string> = new Set(["domain", "space", "???", "none"]);

/** One entry for each axis: undefined where the axis is not of space; absent in files without orientation. */
function directionsOf(fields: NrrdFields, dimension: number): readonly (Triple | undefined)[] | undefined {
  const text = fields.get("space directions");
  if (text === undefined) return undefined;
  const entries = text.match(/none|\([^)]*\)/gi) ?? [];
  if (entries.length !== dimension) throw new VolumeFault("damaged", "its directions do not fit its dimension");
  return entries.map((entry) => (/none/i.test(entry) ? undefined : vectorOf(entry)));
}

function vectorOf(text: string): Triple {
  const values = text.replace(/[()]/g, "").split(",").map(Number);
  if (values.length === 2) values.push(0);
  if (values.length !== 3 || !values.every(Number.isFinite))
    throw new VolumeFault("damaged", "a direction is no vector");
  return [values[0]!, values[1]!, values[2]!];
}

/** The step along an axis that has no direction: its spacing, or one millimetre. */
function standing(fields: NrrdFields, axis: number, oriented: boolean): Triple {
  const stated = oriented ? Number.NaN : Number(fields.get("spacings")?.split(/\s+/)[axis] ?? Number.NaN);
  const spacing = Number.isNaN(stated) ? 1 : stated;
  return [axis === 0 ? spacing : 0, axis === 1 ? spacing : 0, axis === 2 ? spacing : 0];
}

function originOf(fields: NrrdFields): Triple {
  const text = fields.get("space origin");
  return text === undefined ? [0, 0, 0] : vectorOf(text);
}

/** To right, anterior, superior; spaces without anatomy are taken to be so already. */
function oriented(fields: NrrdFields, affine: Affine): Affine {
  const unit = millimetres[/"([^"]*)"/.exec(fields.get("space units") ?? "")?.[1] ?? "mm"] ?? 1;
  const scaled = scaledAffine(affine, unit);
  const space = fields.get("space")?.toLowerCase() ?? "";
  if (/^(?:left-posterior-superior|lps)(?:-time|t)?$/.test(space)) return lpsToRas(scaled);
  if (/^(?:left-anterior-superior|las)(?:-time|t)?$/.test(space)) {
    return [lpsToRas(scaled)[0], scaled[1], scaled[2]];
  }
  return scaled;
}
