import type { RgbImage } from "../image.js";
import { densitiesToHed, densityOf, linearOf, linearToLab, rgbToHsv } from "./colour-spaces.js";

/**
 * 36 cheap colour statistics of a patch, by which patches of like tissue or skin find together without a network: the
 * colour moments of Stricker and Orengo 1995 in RGB, CIE L*a*b*, HSV and haematoxylin-eosin-DAB.
 */

const channelNames = [
  ...["red", "green", "blue"],
  ...["lightness", "green-red", "blue-yellow"],
  ...["hue", "saturation", "value"],
  ...["haematoxylin", "eosin", "dab"],
];
const channels = channelNames.length;

/** No value of a channel is farther from zero, known beforehand so that sites can bound what they send. */
const channelRanges = [1, 1, 1, 100, 128, 128, 1, 1, 1, 4, 4, 4];

/** The deviation is the population's; the skew is the cube root of the third central moment, in the channel's units. */
const moments = ["mean", "deviation", "skew"] as const;

/** Names of the statistics in their order: each channel's moments, channel by channel. */
export const statisticNames: readonly string[] = channelNames.flatMap((channel) =>
  moments.map((moment) => `${channel} ${moment}`),
);
export const statisticCount = statisticNames.length;

/** The largest magnitude that each statistic can have. */
export const statisticRanges = Float64Array.from(statisticNames, (_, index) => channelRanges[Math.floor(index / 3)]!);

const encodedLevels = Float64Array.from({ length: 256 }, (_, level) => level / 255);
const linearLevels = encodedLevels.map(linearOf);
const densityLevels = encodedLevels.map(densityOf);

/** Pixels that are converted before they are summed: small enough for the processor's nearest cache. */
const chunkPixels = 512;
/** Pixel by pixel, every channel. */
const chunk = new Float64Array(chunkPixels * channels);

/** Red lies in the middle, so that skin and stained tissue are not cut into hues near 0 and near 1. */
function turnedHue(hue: number): number {
  return hue < 0.5 ? hue + 0.5 : hue - 0.5;
}

function convertChunk(data: Uint8Array, firstPixel: number, count: number): void {
  for (let pixel = 0; pixel < count; pixel++) {
    const from = 3 * (firstPixel + pixel);
    const red = data[from]!;
    const green = data[from + 1]!;
    const blue = data[from + 2]!;
    const at = pixel * channels;
    chunk[at] = encodedLevels[red]!;
    chunk[at + 1] = encodedLevels[green]!;
    chunk[at + 2] = encodedLevels[blue]!;
    linearToLab(chunk, at + 3, linearLevels[red]!, linearLevels[green]!, linearLevels[blue]!);
    rgbToHsv(chunk, at + 6, encodedLevels[red]!, encodedLevels[green]!, encodedLevels[blue]!);
    chunk[at + 6] = turnedHue(chunk[at + 6]!);
    densitiesToHed(chunk, at + 9, densityLevels[red]!, densityLevels[green]!, densityLevels[blue]!);
  }
}

/** Sums of the first three powers around an origin near the values, without which flat images would lose their digits. */
class PowerSums {
  readonly #origin = new Float64Array(channels);
  readonly #sums = new Float64Array(3 * channels);

  begin(): void {
    this.#origin.set(chunk.subarray(0, channels));
  }

  add(count: number): void {
    for (let channel = 0; channel < channels; channel++) {
      const origin = this.#origin[channel]!;
      let first = 0;
      let second = 0;
      let third = 0;
      for (let at = channel; at < count * channels; at += channels) {
        const value = chunk[at]! - origin;
        const square = value * value;
        first += value;
        second += square;
        third += square * value;
      }
      this.#sums[3 * channel]! += first;
      this.#sums[3 * channel + 1]! += second;
      this.#sums[3 * channel + 2]! += third;
    }
  }

  writeMoments(into: Float32Array, at: number, pixels: number): void {
    for (let channel = 0; channel < channels; channel++) {
      const mean = this.#sums[3 * channel]! / pixels;
      const square = this.#sums[3 * channel + 1]! / pixels;
      const cube = this.#sums[3 * channel + 2]! / pixels;
      into[at + 3 * channel] = this.#origin[channel]! + mean;
      into[at + 3 * channel + 1] = Math.sqrt(Math.max(0, square - mean * mean));
      into[at + 3 * channel + 2] = Math.cbrt(cube - 3 * mean * square + 2 * mean ** 3);
    }
  }
}

/** Writes an image's statistics to `into[at …]`, in the order of `statisticNames`. Every pixel counts once. */
export function writeStatistics({ width, height, data }: RgbImage, into: Float32Array, at: number): void {
  const pixels = width * height;
  const sums = new PowerSums();
  for (let first = 0; first < pixels; first += chunkPixels) {
    const count = Math.min(chunkPixels, pixels - first);
    convertChunk(data, first, count);
    if (first === 0) sums.begin();
    sums.add(count);
  }
  sums.writeMoments(into, at, pixels);
}

/** @returns as many numbers as there are `statisticNames` */
export function statisticsOf(image: RgbImage): Float32Array {
  const statistics = new Float32Array(statisticCount);
  writeStatistics(image, statistics, 0);
  return statistics;
}
