import { createRequire } from "node:module";
import type { LibraryHandle } from "koffi";
import type { SlideLevel } from "./slide.js";

/** What OpenSlide's `openslide_open` returns. */
export type NativeSlide = NonNullable<unknown>;

export interface NativeRegion {
  /** Pixels of level 0. */
  readonly x: number;
  readonly y: number;
  readonly level: number;
  /** Pixels of the level. */
  readonly width: number;
  readonly height: number;
}

/**
 * The part of OpenSlide's C interface that is used. Functions for associated images, such as the label, are not bound on
 * purpose. A damaged file can end the process, because OpenSlide and its libraries abort when memory that a header
 * asks for is not there: only `openslide-main` calls this.
 */
export interface OpenSlideLibrary {
  /** @returns undefined when it knows no such format */
  open(path: string): NativeSlide | undefined;
  close(slide: NativeSlide): void;
  /** A slide with an error stays unusable. */
  error(slide: NativeSlide): string | undefined;
  levels(slide: NativeSlide): SlideLevel[];
  property(slide: NativeSlide, name: string): string | undefined;
  /** @returns width × height pixels, premultiplied ARGB */
  read(slide: NativeSlide, region: NativeRegion): Uint32Array;
}

/** OpenSlide 3.4 and 4: what is used here has not changed between them. */
const fileNames: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: ["libopenslide.so.0", "libopenslide.so.1"],
  darwin: ["libopenslide.1.dylib", "libopenslide.0.dylib"],
  win32: ["libopenslide-1.dll", "libopenslide-0.dll"],
};

/** @returns undefined where OpenSlide is not installed, or koffi has no binary for this platform */
export function loadOpenSlide(): OpenSlideLibrary | undefined {
  const koffi = attempt(() => createRequire(import.meta.url)("koffi") as { load(name: string): LibraryHandle });
  for (const name of fileNames[process.platform] ?? []) {
    const library = attempt(() => koffi?.load(name));
    if (library !== undefined) return attempt(() => bind(library));
  }
  return undefined;
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

type Slide = NativeSlide;

function bind(library: LibraryHandle): OpenSlideLibrary {
  const open = library.func("void *openslide_open(const char *)") as (path: string) => Slide | null;
  const close = library.func("void openslide_close(void *)") as (slide: Slide) => void;
  const error = library.func("const char *openslide_get_error(void *)") as (slide: Slide) => string | null;
  const property = library.func("const char *openslide_get_property_value(void *, const char *)") as (
    slide: Slide,
    name: string,
  ) => string | null;
  return {
    open: (path) => open(path) ?? undefined,
    close,
    error: (slide) => error(slide) ?? undefined,
    levels: bindLevels(library),
    property: (slide, name) => property(slide, name) ?? undefined,
    read: bindRead(library),
  };
}

function bindRead(library: LibraryHandle): OpenSlideLibrary["read"] {
  const read = library.func(
    "void openslide_read_region(void *, void *, int64_t, int64_t, int32_t, int64_t, int64_t)",
  ) as (
    ...parameters: [Slide, Uint32Array, x: number, y: number, level: number, width: number, height: number]
  ) => void;
  return (slide, { x, y, level, width, height }) => {
    const argb = new Uint32Array(width * height);
    read(slide, argb, x, y, level, width, height);
    return argb;
  };
}

function bindLevels(library: LibraryHandle): OpenSlideLibrary["levels"] {
  const count = library.func("int32_t openslide_get_level_count(void *)") as (slide: Slide) => number;
  const size = library.func(
    "void openslide_get_level_dimensions(void *, int32_t, _Out_ int64_t *, _Out_ int64_t *)",
  ) as (...parameters: [Slide, level: number, width: (number | bigint)[], height: (number | bigint)[]]) => void;
  const downsample = library.func("double openslide_get_level_downsample(void *, int32_t)") as (
    slide: Slide,
    level: number,
  ) => number;
  return (slide) =>
    Array.from({ length: Math.max(0, count(slide)) }, (_, level) => {
      const [width, height] = [[0], [0]];
      size(slide, level, width, height);
      return { width: Number(width[0]), height: Number(height[0]), downsample: downsample(slide, level) };
    });
}
