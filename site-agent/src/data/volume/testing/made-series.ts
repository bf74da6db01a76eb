/** DICOM files made for tests: one slice each, or several frames, 16-bit signed, explicit VR little endian. */

export interface MadeSlice {
  readonly columns: number;
  readonly rows: number;
  readonly voxels: Int16Array;
  readonly position?: readonly number[];
  readonly orientation?: readonly number[];
  /** Between rows, then between columns. */
  readonly spacing?: readonly [number, number];
  readonly instance?: number;
  readonly series?: string;
  readonly patient?: string;
  readonly modality?: string;
  readonly window?: readonly [center: number, width: number];
  readonly slope?: number;
  readonly intercept?: number;
  readonly burnedIn?: boolean;
  /** Positions of the frames of an enhanced object. */
  readonly framePositions?: readonly (readonly number[])[];
}

export function madeSlice(made: MadeSlice): Buffer {
  const { columns, rows, series = "1.2.3", instance = 1, modality = "CT" } = made;
  const frames = made.framePositions?.length;
  const axes = made.orientation ?? [1, 0, 0, 0, 1, 0];
  const spacing = made.spacing ?? [1, 1];
  const data = Buffer.concat([
    text(0x0008, 0x0016, "UI", frames === undefined ? "1.2.840.10008.5.1.4.1.1.2" : "1.2.840.10008.5.1.4.1.1.2.1"),
    text(0x0008, 0x0018, "UI", `${series}.${instance}`),
    text(0x0008, 0x0060, "CS", modality),
    text(0x0010, 0x0020, "LO", made.patient ?? "patient"),
    text(0x0020, 0x000e, "UI", series),
    text(0x0020, 0x0013, "IS", String(instance)),
    ...(frames === undefined && made.position !== undefined
      ? [decimals(0x0020, 0x0032, made.position), decimals(0x0020, 0x0037, axes)]
      : []),
    short(0x0028, 0x0002, 1),
    text(0x0028, 0x0004, "CS", "MONOCHROME2"),
    ...(frames === undefined ? [] : [text(0x0028, 0x0008, "IS", String(frames))]),
    short(0x0028, 0x0010, rows),
    short(0x0028, 0x0011, columns),
    ...(frames === undefined ? [decimals(0x0028, 0x0030, spacing)] : []),
    short(0x0028, 0x0100, 16),
    short(0x0028, 0x0101, 16),
    short(0x0028, 0x0102, 15),
    short(0x0028, 0x0103, 1),
    ...(made.burnedIn === true ? [text(0x0028, 0x0301, "CS", "YES")] : []),
    ...(made.window === undefined
      ? []
      : [decimals(0x0028, 0x1050, [made.window[0]]), decimals(0x0028, 0x1051, [made.window[1]])]),
    decimals(0x0028, 0x1052, [made.intercept ?? 0]),
    decimals(0x0028, 0x1053, [made.slope ?? 1]),
    ...(made.framePositions === undefined ? [] : groups(made.framePositions, axes, spacing)),
    element(0x7fe0, 0x0010, "OW", Buffer.from(made.voxels.buffer, made.voxels.byteOffset, made.voxels.byteLength)),
  ]);
  const meta = text(0x0002, 0x0010, "UI", "1.2.840.10008.1.2.1");
  const length = Buffer.alloc(4);
  length.writeUInt32LE(meta.length);
  return Buffer.concat([Buffer.alloc(128), Buffer.from("DICM"), element(0x0002, 0x0000, "UL", length), meta, data]);
}

/** Shared and per-frame functional groups (PS3.3 C.7.6.16). */
function groups(
  positions: readonly (readonly number[])[],
  axes: readonly number[],
  spacing: readonly number[],
): Buffer[] {
  const shared = Buffer.concat([
    sequence(0x0020, 0x9116, [decimals(0x0020, 0x0037, axes)]),
    sequence(0x0028, 0x9110, [decimals(0x0028, 0x0030, spacing)]),
  ]);
  const own = positions.map((position) => sequence(0x0020, 0x9113, [decimals(0x0020, 0x0032, position)]));
  return [sequence(0x5200, 0x9229, [shared]), sequence(0x5200, 0x9230, own)];
}

const wide = new Set(["OW", "SQ"]);

function element(group: number, number: number, vr: string, value: Buffer): Buffer {
  const head = Buffer.alloc(wide.has(vr) ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(vr, 4, "latin1");
  if (wide.has(vr)) head.writeUInt32LE(value.length, 8);
  else head.writeUInt16LE(value.length, 6);
  return Buffer.concat([head, value]);
}

function text(group: number, number: number, vr: string, value: string): Buffer {
  return element(group, number, vr, Buffer.from(value.length % 2 === 0 ? value : value + (vr === "UI" ? "\0" : " ")));
}

function decimals(group: number, number: number, values: readonly number[]): Buffer {
  return text(group, number, "DS", values.map((value) => String(Number(value.toPrecision(10)))).join("\\"));
}

function short(group: number, number: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return element(group, number, "US", bytes);
}

function sequence(group: number, number: number, items: readonly Buffer[]): Buffer {
  const parts = items.flatMap((item) => {
    const head = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0]);
    head.writeUInt32LE(item.length, 4);
    return [head, item];
  });
  return element(group, number, "SQ", Buffer.concat(parts));
}
