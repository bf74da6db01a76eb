import { join } from "node:path";
import { type DicomFile, openDicomFile } from "../dicom/dicom-file.js";
import { checkedSpacing } from "./affine.js";
import { stackGeometry } from "./series-geometry.js";
import type { SeriesFrame, SeriesOptions, SeriesStack } from "./series-stacks.js";
import type { Interval, Triple, Volume } from "./volume.js";
import { VolumeFault } from "./volume-fault.js";
import { checkedVoxels } from "./volume-limits.js";

/**
 * Decodes a stack of slices into a volume.
 * @throws VolumeFault; UnreadableImage for a slice that cannot be decoded
 */
export async function readStack(stack: SeriesStack, { settings, hash }: SeriesOptions): Promise<Volume> {
  const { frames, affine } = stackGeometry(stack.frames);
  const dims: Triple = [stack.columns, stack.rows, frames.length];
  const data = new Float32Array(checkedVoxels(dims, 4, settings));
  const spacing = checkedSpacing(affine);
  const open = (id: string): Promise<DicomFile> => {
    return openDicomFile(join(settings.path, id), { id, limits: settings, hash });
  };
  let file: { readonly id: string; readonly opened: DicomFile } | undefined;
  try {
    for (const [index, { fileId, frame }] of frames.entries()) {
      if (file?.id !== fileId) {
        await file?.opened.close();
        file = undefined;
        file = { id: fileId, opened: await open(fileId) };
      }
      const { values } = await file.opened.rescaledFrame(frame);
      // It was of this size when its header was read; a file may change meanwhile.
      if (values.length !== stack.columns * stack.rows) throw new VolumeFault("damaged", "a slice changed its size");
      data.set(values, index * values.length);
    }
  } finally {
    await file?.opened.close();
  }
  const window = windowOf(frames);
  const { modality } = stack;
  return {
    format: "dicom-series",
    integers: false,
    ...{ data, dims, spacing, affine },
    ...(modality === undefined ? {} : { modality }),
    ...(window === undefined ? {} : { window }),
  };
}

/** The window that all slices name. Where each has its own, as often in MR, none fits the volume. */
function windowOf(frames: readonly SeriesFrame[]): Interval | undefined {
  const windows = frames.map(({ voi }): Interval | undefined => {
    return voi?.kind === "window" ? [voi.center - voi.width / 2, voi.center + voi.width / 2] : undefined;
  });
  const [first] = windows;
  if (first === undefined || !(first[0] < first[1])) return undefined;
  return windows.every((window) => window?.[0] === first[0] && window[1] === first[1]) ? first : undefined;
}
