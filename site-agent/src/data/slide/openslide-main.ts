import { onBackground } from "./argb.js";
import { loadOpenSlide, type NativeSlide, type OpenSlideLibrary } from "./openslide-library.js";
import type { SlideAnswer, SlideRequest } from "./openslide-messages.js";

/** Entry of the process that OpenSlide may end. It has nothing to lose but open files. */

const library = loadOpenSlide();
const slides = new Map<number, NativeSlide>();

process.on("message", (request: SlideRequest) => {
  process.send?.(library === undefined ? { type: "absent" } : answer(library, request));
});
// Without the agent there is nobody to answer.
process.on("disconnect", () => process.exit());
// A terminal's interrupt is for the agent, which ends this process when it has what it waits for.
process.on("SIGINT", () => {});

function answer(openslide: OpenSlideLibrary, request: SlideRequest): SlideAnswer {
  if (request.type === "open") return open(openslide, request);
  const slide = slides.get(request.slide);
  if (request.type === "read" && slide !== undefined) return read(openslide, slide, request);
  forget(openslide, request.slide);
  return { type: request.type === "close" ? "closed" : "unknown-slide" };
}

function open(openslide: OpenSlideLibrary, request: SlideRequest & { type: "open" }): SlideAnswer {
  const slide = openslide.open(request.path);
  if (slide === undefined) return { type: "unknown-format" };
  slides.set(request.slide, slide);
  const message = openslide.error(slide);
  if (message !== undefined) return failure(openslide, request.slide, message);
  const found = request.properties.map((name) => [name, openslide.property(slide, name)] as const);
  const properties = Object.fromEntries(found.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  return { type: "opened", facts: { levels: openslide.levels(slide), properties } };
}

function read(openslide: OpenSlideLibrary, slide: NativeSlide, request: SlideRequest & { type: "read" }): SlideAnswer {
  const argb = openslide.read(slide, request.region);
  const message = openslide.error(slide);
  if (message !== undefined) return failure(openslide, request.slide, message);
  return { type: "pixels", rgb: onBackground(argb, request.background) };
}

function failure(openslide: OpenSlideLibrary, number: number, message: string): SlideAnswer {
  forget(openslide, number);
  const isCut = /premature end|truncated|short read|end of file|(?:couldn't|can't|cannot) read/i.test(message);
  return { type: "failed", reason: isCut ? "truncated" : "damaged" };
}

function forget(openslide: OpenSlideLibrary, number: number): void {
  const slide = slides.get(number);
  if (slide === undefined) return;
  slides.delete(number);
  openslide.close(slide);
}
