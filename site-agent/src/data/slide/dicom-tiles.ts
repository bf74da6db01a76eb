import { type FrameFacts, factsOf } from "../dicom/frame-facts.js";
import type { ImageHeader } from "../dicom/header.js";

/** A frame's place in the slide: its left upper corner in pixels of the whole picture. */
export interface FramePlace {
  readonly frame: number;
  readonly x: number;
  readonly y: number;
}

/**
 * Frames of a whole-slide object by where they lie (PS3.3 C.7.6.17.3). Of several focal planes and optical paths, the
 * first counts.
 */
export class FrameMap {
  readonly #width: number;
  readonly #height: number;
  /** Frames that touch a cell of the size of a frame. */
  readonly #cells = new Map<string, FramePlace[]>();

  constructor({ pixels, frames, matrix, tiledFull }: ImageHeader) {
    this.#width = pixels.columns;
    this.#height = pixels.rows;
    const across = Math.ceil((matrix?.columns ?? pixels.columns) / pixels.columns);
    const down = Math.ceil((matrix?.rows ?? pixels.rows) / pixels.rows);
    const count = tiledFull ? Math.min(pixels.frames, across * down) : pixels.frames;
    const taken = new Set<string>();
    for (let frame = 0; frame < count; frame++) {
      const place = this.#placeOf(factsOf(frames, frame), frame, across);
      const key = `${place.x},${place.y}`;
      if (!taken.has(key)) this.#add({ frame, ...place });
      taken.add(key);
    }
  }

  #placeOf({ tile }: FrameFacts, frame: number, across: number): { x: number; y: number } {
    return tile ?? { x: (frame % across) * this.#width, y: Math.floor(frame / across) * this.#height };
  }

  #add(place: FramePlace): void {
    const { x, y } = place;
    for (const key of this.#keys(x, y, x + this.#width, y + this.#height)) {
      const cell = this.#cells.get(key);
      if (cell === undefined) this.#cells.set(key, [place]);
      else cell.push(place);
    }
  }

  /** Frames with pixels in a rectangle; right and bottom are outside it. */
  within(left: number, top: number, right: number, bottom: number): FramePlace[] {
    const found = new Set(this.#keys(left, top, right, bottom).flatMap((key) => this.#cells.get(key) ?? []));
    return [...found].filter(({ x, y }) => x < right && y < bottom && x + this.#width > left && y + this.#height > top);
  }

  #keys(left: number, top: number, right: number, bottom: number): string[] {
    const keys: string[] = [];
    for (let row = Math.floor(top / this.#height); row * this.#height < bottom; row++) {
      for (let column = Math.floor(left / this.#width); column * this.#width < right; column++) {
        keys.push(`${column},${row}`);
      }
    }
    return keys;
  }
}
