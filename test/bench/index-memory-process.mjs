import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ItemIndex } from "@consilium/site-agent/data/index/item-index.js";
import { scan } from "@consilium/site-agent/data/index/scan.js";

/**
 * Indexes so many items, reads the list as training does, and scans again without a change; prints a line of JSON. Plain
 * JavaScript, so that the memory of a process that compiles TypeScript is not counted.
 */

const count = Number(process.argv[2]);
const facts = { format: "dicom", width: 2500, height: 2048, modality: "DX" };

/** So many files with names as long as a hospital's, which cost nothing to read. */
const source = {
  async *files() {
    for (let file = 0; file < count; file++) {
      const name = String(file).padStart(12, "0");
      yield { id: `archive/${name.slice(0, 8)}/series-${name}/image-${name}.dcm`, stamp: `${file}@1` };
    }
  },
  items: async ({ id, stamp }) => [
    { id, stamp, facts, group: id.slice(8, 16), label: "none", attributes: { scanner: "maker model 7" } },
  ],
};

const folder = mkdtempSync(join(tmpdir(), "consilium-index-"));
const seconds = async (work) => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};
try {
  const index = new ItemIndex(join(folder, "index.sqlite"), "bench");
  const indexSeconds = await seconds(() => scan({ source, index, concurrency: 4 }));
  const list = index.list();
  const readSeconds = await seconds(() => {
    for (let read = 0; read < 10_000; read++) list.at((read * 7919) % list.length);
  });
  const rescanSeconds = await seconds(() => scan({ source, index, concurrency: 4 }));
  index.close();
  const peakRssMiB = process.resourceUsage().maxRSS / 1024;
  console.log(
    JSON.stringify({
      items: list.length,
      indexSeconds,
      rescanSeconds,
      microsecondsPerRead: readSeconds * 100,
      peakRssMiB,
    }),
  );
} finally {
  rmSync(folder, { recursive: true });
}
