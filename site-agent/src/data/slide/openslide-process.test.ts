import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { temporaryFolder } from "../test-folders.js";
import { pattern } from "../test-images.js";
import { openSlide } from "./open-slide.js";
import { openWithOpenSlide } from "./openslide.js";
import type { SlideRequest } from "./openslide-messages.js";
import { OpenSlideProcess } from "./openslide-process.js";
import { absentOpenSlide, pyramid } from "./test-slides.js";

const folder = temporaryFolder();
let running: OpenSlideProcess | undefined;
afterEach(() => running?.close());

/** A process that handles a request as `body` says; `count` counts its requests. */
async function processOf(body: string, timeoutMs?: number): Promise<OpenSlideProcess> {
  const entryPath = join(folder(), "entry.mjs");
  const facts = `{ levels: [{ width: 100, height: 100, downsample: 1 }], properties: {} }`;
  await writeFile(
    entryPath,
    `let count = 0;
    const opened = { type: "opened", facts: ${facts} };
    process.on("message", (request) => { count++; ${body} });`,
  );
  running = new OpenSlideProcess({ entryPath, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  return running;
}

const open: SlideRequest = { type: "open", slide: 1, path: "x", properties: [] };
const region = { x: 0, y: 0, level: 0, width: 1, height: 1 };
const read: SlideRequest = { type: "read", slide: 1, region, background: { r: 0, g: 0, b: 0 } };

describe("OpenSlideProcess", () => {
  it("answers in order", async () => {
    const process = await processOf(`process.send({ type: "pixels", rgb: Uint8Array.of(count) })`);
    const answers = await Promise.all([process.ask(read), process.ask(read), process.ask(read)]);
    expect(answers).toEqual([1, 2, 3].map((count) => ({ type: "pixels", rgb: Uint8Array.of(count) })));
  });

  it.each([
    ["crashes it", `process.abort()`, undefined],
    ["hangs it", `while (true);`, 4000],
    ["ends it", `process.exit(0)`, undefined],
  ])("outlives a request that %s", async (_, fault, timeoutMs) => {
    const body = `if (request.type === "open") { ${fault} } process.send({ type: "closed" });`;
    const process = await processOf(body, timeoutMs);
    expect(await process.ask(open)).toBe("lost");
    expect(await process.ask(read)).toEqual({ type: "closed" });
  });

  it("asks once more when the process was ended from outside", async () => {
    const flag = join(folder(), "flag");
    const body = `
      const { existsSync, writeFileSync } = await import("node:fs");
      if (!existsSync(${JSON.stringify(flag)})) { writeFileSync(${JSON.stringify(flag)}, ""); process.kill(process.pid, "SIGKILL"); }
      process.send({ type: "closed" });`;
    const process = await processOf(`void (async () => { ${body} })()`);
    expect(await process.ask(read)).toEqual({ type: "closed" });
  });

  it("starts with the first request, and none for closing", async () => {
    const process = await processOf(`process.abort()`);
    expect(await process.ask({ type: "close", slide: 1 })).toEqual({ type: "closed" });
  });
});

describe("openWithOpenSlide", () => {
  it("calls a file damaged that OpenSlide does not survive", async () => {
    const failure = openWithOpenSlide({ id: "secret.svs", path: "x" }, await processOf("process.abort()"));
    await expect(failure).rejects.toMatchObject({ reason: "damaged" });
  });

  it("opens the slide again after another one ended the process", async () => {
    const slide = await openWithOpenSlide(
      { id: "a.svs", path: "x" },
      await processOf(`
        globalThis.slides ??= new Set();
        if (request.type === "open") { slides.add(request.slide); process.send(opened); }
        else if (!slides.has(request.slide)) process.send({ type: "unknown-slide" });
        else if (request.region.x === 7) process.abort();
        else process.send({ type: "pixels", rgb: Uint8Array.of(1, 2, 3) });`),
    );
    await expect(slide!.readRegion({ ...region, x: 7 })).rejects.toMatchObject({ reason: "damaged" });
    expect([...(await slide!.readRegion(region)).data]).toEqual([1, 2, 3]);
  });

  it("refuses what is larger than any glass", async () => {
    const huge = `{ levels: [{ width: 1e9, height: 1e9, downsample: 1 }], properties: {} }`;
    const process = await processOf(`process.send({ type: "opened", facts: ${huge} })`);
    await expect(openWithOpenSlide({ id: "a.svs", path: "x" }, process)).rejects.toMatchObject({
      reason: "too-many-pixels",
    });
  });
});

describe("openSlide", () => {
  const put = async (name: string, content: Uint8Array | string) => {
    const path = join(folder(), name);
    await writeFile(path, content);
    return { id: name, path };
  };
  const options = { maxPixels: 1e8, allowBurnedIn: false };

  it("opens TIFF without OpenSlide", async () => {
    const file = await put("a.tiff", await pyramid(pattern(600, 500), 0.5));
    const slide = await openSlide(file, { ...options, library: absentOpenSlide });
    expect(slide).toMatchObject({ width: 600, height: 500, format: "tiff" });
  });

  it("opens TIFF that OpenSlide does not survive", async () => {
    const file = await put("a.tiff", await pyramid(pattern(600, 500), 0.5));
    const library = await processOf("process.abort()");
    expect(await openSlide(file, { ...options, library })).toMatchObject({ width: 600, height: 500 });
  });

  it.each([
    ["empty.svs", "", "empty"],
    ["text.ndpi", "hello", "unsupported-format"],
    ["text.mrxs", "hello", "unsupported-format"],
    ["text.dcm", "hello", "unsupported-format"],
  ])("says of %s why", async (name, content, reason) => {
    const file = await put(name, content);
    await expect(openSlide(file, { ...options, library: absentOpenSlide })).rejects.toMatchObject({ reason });
  });

  it("tells a file that is not there", async () => {
    const file = { id: "none.svs", path: join(folder(), "none.svs") };
    await expect(openSlide(file, { ...options, library: absentOpenSlide })).rejects.toMatchObject({
      reason: "missing",
    });
  });
});
