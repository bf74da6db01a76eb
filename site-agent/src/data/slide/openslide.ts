import type { RgbImage } from "../image.js";
import { createLimiter } from "../limiter.js";
import { UnreadableImage } from "../source.js";
import { type Colour, colourOf } from "./argb.js";
import type { SlideFacts } from "./openslide-messages.js";
import type { OpenSlide } from "./openslide-process.js";
import { numberIn, squareMicrometres, tiffMicrometres } from "./resolution.js";
import type { RegionRequest, Slide, SlideAttributes, SlideFile, SlideLevel } from "./slide.js";
import { checkedLevels } from "./slide-shape.js";

/** Where the formats keep the scanner's model, the most exact first. */
const scannerProperties = [
  "ventana.ScannerModel",
  "leica.device-model",
  "philips.DICOM_MANUFACTURERS_MODEL_NAME",
  "hamamatsu.Product",
  "tiff.Model",
  "aperio.ScanScope ID",
] as const;

/** Values about the patient or the case are never asked for. */
const properties = [
  ...["openslide.vendor", "openslide.mpp-x", "openslide.mpp-y", "openslide.objective-power"],
  ...["openslide.background-color", "tiff.XResolution", "tiff.YResolution", "tiff.ResolutionUnit"],
  ...scannerProperties,
];

/**
 * Opens a slide with OpenSlide.
 * @returns undefined when OpenSlide is not installed or knows no such format
 * @throws UnreadableImage "damaged", "truncated", "too-many-pixels"
 */
export async function openWithOpenSlide(file: SlideFile, openSlide: OpenSlide): Promise<Slide | undefined> {
  const opened = await open(file, openSlide);
  if (opened === undefined) return undefined;
  try {
    return new OpenSlideSlide(file, openSlide, opened);
  } catch (thrown) {
    await openSlide.ask({ type: "close", slide: opened.number });
    throw thrown;
  }
}

interface OpenedSlide {
  readonly number: number;
  readonly facts: SlideFacts;
}

let numbers = 0;

async function open({ id, path }: SlideFile, openSlide: OpenSlide): Promise<OpenedSlide | undefined> {
  const number = numbers++;
  const answer = await openSlide.ask({ type: "open", slide: number, path, properties });
  if (answer === "lost") throw lost(id);
  if (answer.type === "failed") throw failed(id, answer.reason);
  return answer.type === "opened" ? { number, facts: answer.facts } : undefined;
}

const failed = (id: string, reason: "damaged" | "truncated"): UnreadableImage =>
  new UnreadableImage(id, reason, { detail: "OpenSlide cannot decode it" });

const lost = (id: string): UnreadableImage =>
  new UnreadableImage(id, "damaged", { detail: "OpenSlide crashes or hangs on it" });

class OpenSlideSlide implements Slide {
  readonly width: number;
  readonly height: number;
  readonly levels: readonly SlideLevel[];
  readonly micrometresPerPixel?: number;
  readonly attributes: SlideAttributes;
  readonly format: string;
  readonly #file: SlideFile;
  readonly #openSlide: OpenSlide;
  readonly #background: Colour;
  /** So that a slide that is to be opened again is opened once. */
  readonly #inTurn = createLimiter(1);
  #number: number;

  constructor(file: SlideFile, openSlide: OpenSlide, { number, facts }: OpenedSlide) {
    this.levels = checkedLevels(file.id, facts.levels);
    ({ width: this.width, height: this.height } = this.levels[0]!);
    const micrometres = micrometresOf(facts.properties);
    if (micrometres !== undefined) this.micrometresPerPixel = micrometres;
    this.attributes = attributesOf(facts.properties);
    this.format = formatOf(this.attributes.vendor, file.id);
    this.#background = colourOf(facts.properties["openslide.background-color"]);
    this.#file = file;
    this.#openSlide = openSlide;
    this.#number = number;
  }

  readRegion(request: RegionRequest): Promise<RgbImage> {
    return this.#inTurn(() => this.#read(request));
  }

  async #read({ x, y, level, width, height }: RegionRequest): Promise<RgbImage> {
    const region = { x: Math.round(x), y: Math.round(y), level, width, height };
    const read = () => this.#openSlide.ask({ type: "read", slide: this.#number, region, background: this.#background });
    let answer = await read();
    if (answer !== "lost" && answer.type === "unknown-slide") {
      await this.#reopen();
      answer = await read();
    }
    if (answer === "lost") throw lost(this.#file.id);
    if (answer.type === "pixels") return { width, height, data: answer.rgb };
    throw failed(this.#file.id, answer.type === "failed" ? answer.reason : "damaged");
  }

  /** After another slide ended the process, or a damaged tile made OpenSlide give up this one. */
  async #reopen(): Promise<void> {
    const opened = await open(this.#file, this.#openSlide);
    if (opened === undefined) throw failed(this.#file.id, "damaged");
    this.#number = opened.number;
  }

  async close(): Promise<void> {
    await this.#openSlide.ask({ type: "close", slide: this.#number });
  }
}

type Properties = SlideFacts["properties"];

function micrometresOf(told: Properties): number | undefined {
  const own = squareMicrometres(numberIn(told["openslide.mpp-x"]), numberIn(told["openslide.mpp-y"]));
  if (own !== undefined) return own;
  // Before version 4, OpenSlide leaves the resolution of plain TIFF to its callers.
  const [x, y] = [numberIn(told["tiff.XResolution"]), numberIn(told["tiff.YResolution"])];
  const unit = told["tiff.ResolutionUnit"];
  return tiffMicrometres({
    ...(x === undefined ? {} : { x }),
    ...(y === undefined ? {} : { y }),
    ...(unit === undefined ? {} : { unit }),
  });
}

function attributesOf(told: Properties): SlideAttributes {
  const scanner = scannerProperties.map((name) => told[name]).find((value) => value !== undefined && value !== "");
  const magnification = told["openslide.objective-power"];
  return {
    vendor: told["openslide.vendor"] ?? "unknown",
    ...(scanner === undefined ? {} : { scanner }),
    ...(magnification === undefined ? {} : { magnification }),
  };
}

const formats: Readonly<Record<string, string>> = {
  ...{ aperio: "svs", hamamatsu: "ndpi", mirax: "mrxs", leica: "scn", ventana: "bif", "generic-tiff": "tiff" },
};

function formatOf(vendor: string, id: string): string {
  if (vendor === "hamamatsu" && /\.vms$/i.test(id)) return "vms";
  return formats[vendor] ?? vendor;
}
