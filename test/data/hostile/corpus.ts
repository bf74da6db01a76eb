import { headerBombs, unpackingBombs } from "./bombs.js";
import { circularTiffs, type DamageScale, spoilt } from "./damage.js";
import type { HostileFile } from "./hostile-file.js";

export interface CorpusScale extends DamageScale {
  /** Pixels to which bombs unpack. */
  readonly bombPixels: number;
}

/** Files of another kind than their name says. */
function disguises(): readonly HostileFile[] {
  const contents: Readonly<Record<string, Buffer>> = {
    text: Buffer.from("These are not pixels.\n".repeat(50)),
    page: Buffer.from("<html><img src='file:///etc/passwd'></html>"),
    drawing: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
    gif: Buffer.concat([Buffer.from("GIF89a"), Buffer.alloc(100)]),
    pdf: Buffer.from("%PDF-1.7\n%%EOF"),
    archive: Buffer.concat([Buffer.from("PK\u0003\u0004"), Buffer.alloc(100)]),
    zeros: Buffer.alloc(4096),
  };
  const endings = { folder: ".jpg", dicom: ".dcm", volume: ".nii", slide: ".svs" } as const;
  return Object.entries(endings).flatMap(([source, ending]) =>
    Object.entries(contents).map(
      ([name, bytes]): HostileFile => ({
        source: source as keyof typeof endings,
        id: `disguise-${name}${ending}`,
        bytes,
        allowed: source === "slide" ? ["unsupported-format", "damaged"] : ["unsupported-format"],
      }),
    ),
  );
}

export async function* corpus(scale: CorpusScale): AsyncGenerator<HostileFile> {
  yield* headerBombs();
  yield* await unpackingBombs(scale.bombPixels);
  yield* circularTiffs();
  yield* disguises();
  yield* spoilt(scale);
}
