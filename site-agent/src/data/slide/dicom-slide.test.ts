import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { colours, dicomBytes, imageElements, type TestElements } from "../dicom/test-dicom.js";
import { temporaryFolder } from "../test-folders.js";
import { openDicomSlide } from "./dicom-slide.js";

const folder = temporaryFolder();

/** Six tiles of 32 × 16 of one colour each, of a slide of 80 × 30. */
function slideBytes(over: TestElements = {}): Buffer {
  const pixels = Uint8Array.from(
    { length: 6 * 32 * 16 * 3 },
    (_, i) => 10 * (1 + Math.floor(i / (32 * 16 * 3))) + (i % 3),
  );
  return dicomBytes(
    imageElements(32, 16, pixels, {
      ...colours("RGB"),
      "00080016": ["UI", "1.2.840.10008.5.1.4.1.1.77.1.6"],
      "00080008": ["CS", "ORIGINAL\\PRIMARY\\VOLUME\\NONE"],
      "00080060": ["CS", "SM"],
      "00080070": ["LO", "Maker"],
      "00081090": ["LO", "Scanner 3"],
      "00280008": ["IS", "6"],
      "00209311": ["CS", "TILED_FULL"],
      "00480006": ["UL", [80]],
      "00480007": ["UL", [30]],
      "52009229": ["SQ", [{ "00289110": ["SQ", [{ "00280030": ["DS", "0.0005\\0.0005"] }]] }]],
      ...over,
    }),
  );
}

async function open(content: Uint8Array, allowBurnedIn = false) {
  const path = join(folder(), "a.dcm");
  await writeFile(path, content);
  return openDicomSlide({ id: "a.dcm", path }, { maxPixels: 1e6, allowBurnedIn });
}

describe("openDicomSlide", () => {
  it("says what the file says", async () => {
    const slide = await open(slideBytes());
    expect(slide).toMatchObject({
      ...{ width: 80, height: 30, format: "dicom", transferSyntax: "1.2.840.10008.1.2.1" },
      attributes: { vendor: "Maker", scanner: "Scanner 3" },
    });
    expect(slide.micrometresPerPixel).toBeCloseTo(0.5, 9);
    await slide.close();
  });

  it("puts a region together from the tiles that it touches", async () => {
    const slide = await open(slideBytes());
    const { data } = await slide.readRegion({ x: 30, y: 14, level: 0, width: 54, height: 20 });
    const red = (x: number, y: number) => data[((y - 14) * 54 + x - 30) * 3];
    expect([red(30, 14), red(32, 14), red(64, 15), red(31, 16), red(63, 29), red(79, 29)]).toEqual([
      ...[10, 20, 30, 40, 50, 60],
    ]);
    expect([red(80, 14), red(79, 30), red(83, 33)]).toEqual([255, 255, 255]);
    await slide.close();
  });

  it.each([
    ["a label", { "00080008": ["CS", "ORIGINAL\\PRIMARY\\LABEL\\NONE"] }, "burned-in"],
    ["an overview of the glass", { "00080008": ["CS", "ORIGINAL\\PRIMARY\\OVERVIEW\\NONE"] }, "burned-in"],
    ["names that are burned in", { "00280301": ["CS", "YES"] }, "burned-in"],
    ["an object that is no slide", { "00080016": ["UI", "1.2.840.10008.5.1.4.1.1.7"] }, "modality-excluded"],
    ["an object without pixels", { "7fe00010": undefined }, "no-pixels"],
    ["a slide larger than any glass", { "00480006": ["UL", [4e9]] }, "too-many-pixels"],
    ["tiles of a few pixels", { "00280010": ["US", [8]], "00280008": ["IS", "12"] }, "unsupported-pixels"],
  ] as const)("refuses %s", async (_, over, reason) => {
    await expect(open(slideBytes(over))).rejects.toMatchObject({ reason });
  });

  it("takes names that are burned in where it is told to, but never a label", async () => {
    await (await open(slideBytes({ "00280301": ["CS", "YES"] }), true)).close();
    const label = slideBytes({ "00080008": ["CS", "ORIGINAL\\PRIMARY\\LABEL\\NONE"] });
    await expect(open(label, true)).rejects.toMatchObject({ reason: "burned-in" });
  });

  it("says no identifier in its errors", async () => {
    const failure = await open(slideBytes({ "00280301": ["CS", "YES"] })).catch((thrown: Error) => thrown);
    expect(JSON.stringify([failure, (failure as Error).message])).not.toMatch(/Doe|4711|1\.2\.3\.4/);
  });
});
