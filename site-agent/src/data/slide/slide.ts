import type { RgbImage } from "../image.js";

/** One resolution of a slide. */
export interface SlideLevel {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Pixels of level 0 along one pixel of this level; 1 for level 0. */
  readonly downsample: number;
}

export interface RegionRequest {
  /** Left upper corner in pixels of level 0. */
  readonly x: number;
  readonly y: number;
  readonly level: number;
  /** Pixels of that level. */
  readonly width: number;
  readonly height: number;
}

export interface SlideAttributes {
  /** Maker of the format, such as aperio or hamamatsu. */
  readonly vendor: string;
  /** The scanner's model, or its name where only that is told. */
  readonly scanner?: string;
  /** Of the objective, such as 40. */
  readonly magnification?: string;
}

/**
 * A whole slide. Its label and macro images, which often show a patient's name, are out of reach: no implementation
 * offers a way to them.
 */
export interface Slide {
  /** Pixels of level 0. */
  readonly width: number;
  readonly height: number;
  /** Of level 0; absent where the file does not say or says what no microscope has. */
  readonly micrometresPerPixel?: number;
  /** The finest first. */
  readonly levels: readonly SlideLevel[];
  readonly attributes: SlideAttributes;
  /** svs, ndpi, tiff, dicom and so on. */
  readonly format: string;
  /** DICOM's unique identifier of the encoding. */
  readonly transferSyntax?: string;
  /**
   * What lies outside the slide, or was not scanned, has the slide's background colour.
   * @throws UnreadableImage
   */
  readRegion(request: RegionRequest): Promise<RgbImage>;
  close(): Promise<void>;
}

/** What opens a slide needs of the file. */
export interface SlideFile {
  readonly id: string;
  readonly path: string;
}
