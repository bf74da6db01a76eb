import { createHash } from "node:crypto";
import { runInNewContext, Script } from "node:vm";
import { describe, expect, it } from "vitest";
import type { RgbImage } from "../image.js";
import { cellModel } from "./cell-model.js";
import { clustersText, parseClusters } from "./clusters-file.js";
import { reviewScript, yamlFunction } from "./review-script.js";
import { reviewSheet } from "./review-sheet.js";
import { statisticCount } from "./statistics.js";

const row = (value: number) => new Array<number>(statisticCount).fill(value);
const model = cellModel({ seed: 1, mean: row(0.5), deviation: row(0.1), centroids: [row(0), row(2), row(-9)] });
const read = parseClusters(clustersText(model), model, "clusters.yaml");
const clusters = { ...read, clusters: read.clusters.with(1, { name: "fat & glass", weight: 1, drop: true }) };
const image: RgbImage = { width: 40, height: 30, data: new Uint8Array(3600).fill(90) };
const cell = (images: number) => ({ images, nearest: [image, image], random: [image] });

const html = await reviewSheet({ model, clusters, examples: [cell(6), cell(3), cell(1)] });

describe("reviewSheet", () => {
  it("asks for nothing from outside and runs only its own script", () => {
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)![1]!;
    expect(policy).toContain("default-src 'none'; img-src data:;");
    for (const kind of ["script", "style"]) {
      const inline = new RegExp(`<${kind}>([\\s\\S]*?)</${kind}>`).exec(html)![1]!;
      expect(policy).toContain(`${kind}-src 'sha256-${createHash("sha256").update(inline).digest("base64")}'`);
    }
    expect(html).not.toMatch(/https?:|style=| on[a-z]+=|<link/);
    expect(reviewScript).not.toContain("</script");
  });

  it("shows each cell's size, colour and examples, each with a text and each field with a label", () => {
    expect(html).toContain("Cell 0: 6 images, 60.0 %");
    expect(html).toContain('fill="rgb(128,128,128)"');
    expect(html).toContain('fill="rgb(0,0,0)"');
    expect(html.match(/<img /g)).toHaveLength(9);
    expect(html.match(/<img src="data:image\/jpeg;base64,[^"]+" alt="[^"]+"/g)).toHaveLength(9);
    expect(html.match(/<label>[\s\S]*?<input/g)).toHaveLength(9);
    expect(html).toContain('value="fat &#38; glass"');
  });
});

const rows = [
  { cell: 0, name: "tumour", weight: 2.5, drop: false },
  { cell: 1, name: "glass.1", weight: 1, drop: true },
  { cell: 2, name: "tumour", weight: 2.5, drop: false },
];

describe("the page's script", () => {
  const yamlOf = (digest: string, given: object[]): string =>
    runInNewContext(`${yamlFunction}; yamlOf(digest, rows)`, { digest, rows: given });

  it("writes a clusters file that is read as it was meant", () => {
    expect(parseClusters(yamlOf(model.digest, rows), model, "review").clusters).toEqual([
      { name: "tumour", weight: 2.5, drop: false },
      { name: "glass.1", weight: 1, drop: true },
    ]);
    const plain = [0, 1, 2].map((number) => ({ cell: number, name: `null ${number}`, weight: 1, drop: false }));
    expect(parseClusters(yamlOf(model.digest, plain), model, "review").clusters).toHaveLength(3);
  });

  it("is a program that can be parsed", () => {
    expect(() => new Script(reviewScript)).not.toThrow();
  });
});
