import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Random, randomFor } from "@consilium/shared/random.js";
import sharp from "sharp";

/**
 * Synthetic pictures drawn by code in three styles, two classes each. They stand for a hospital's images where none are
 * at hand, and look like them only as much as a method needs something to learn.
 */

type Rgb = readonly [number, number, number];
/** Colour at (x, y), both in [-1, 1], as floats in [0, 1]. */
type Painting = (x: number, y: number) => Rgb;

const side = 64;

/** Smooth noise: a sum of a few plane waves of random direction and phase, within about ±1. */
function waves(random: Random, frequency: number, terms = 5): (x: number, y: number) => number {
  const parts = Array.from({ length: terms }, () => {
    const angle = random.uniform() * 2 * Math.PI;
    const rate = frequency * (0.5 + random.uniform());
    return { kx: rate * Math.cos(angle), ky: rate * Math.sin(angle), phase: random.uniform() * 2 * Math.PI };
  });
  return (x, y) =>
    parts.reduce((sum, { kx, ky, phase }) => sum + Math.sin(kx * x + ky * y + phase), 0) / Math.sqrt(terms);
}

const mix = (a: Rgb, b: Rgb, share: number): Rgb => [
  a[0] + (b[0] - a[0]) * share,
  a[1] + (b[1] - a[1]) * share,
  a[2] + (b[2] - a[2]) * share,
];
const smoothStep = (edge: number, softness: number, value: number): number =>
  1 / (1 + Math.exp((value - edge) / softness));

function lesion(random: Random, irregular: boolean): Painting {
  const skin: Rgb = [0.85 - 0.25 * random.uniform(), 0.65 - 0.2 * random.uniform(), 0.55 - 0.2 * random.uniform()];
  const brown: Rgb = [0.45, 0.27, 0.18];
  const dark: Rgb = irregular ? [0.16, 0.11, 0.13] : [0.4, 0.24, 0.15];
  const [cx, cy] = [0.3 * random.normal() * 0.5, 0.3 * random.normal() * 0.5];
  const radius = 0.35 + 0.25 * random.uniform();
  const lobes = Array.from({ length: 5 }, (_, k) => ({
    size: (irregular ? 0.16 : 0.03) * random.normal(),
    phase: random.uniform() * 2 * Math.PI,
    k: k + 2,
  }));
  const mottle = waves(random, 9);
  const shade = waves(random, 2);
  return (x, y) => {
    const [dx, dy] = [x - cx, y - cy];
    const angle = Math.atan2(dy, dx);
    const edge = radius * (1 + lobes.reduce((sum, { size, phase, k }) => sum + size * Math.cos(k * angle + phase), 0));
    const inside = smoothStep(edge, irregular ? 0.03 : 0.05, Math.hypot(dx, dy));
    const tone = mix(brown, dark, 0.5 + 0.5 * Math.tanh(mottle(x, y) * (irregular ? 1.5 : 0.4)));
    const background = mix(skin, [0, 0, 0], 0.06 + 0.05 * shade(x, y));
    return mix(background, tone, inside);
  };
}

function radiograph(random: Random, opacity: boolean): Painting {
  const gain = 0.8 + 0.3 * random.uniform();
  const [shift, tilt] = [0.12 * random.normal(), 0.1 * random.normal()];
  const ribs = 9 + 3 * random.uniform();
  const texture = waves(random, 12);
  const lungSide = random.uniform() < 0.5 ? -1 : 1;
  const spot = {
    x: lungSide * (0.35 + 0.15 * random.uniform()),
    y: 0.6 * (random.uniform() - 0.5),
    r: 0.12 + 0.1 * random.uniform(),
  };
  return (x, y) => {
    const across = x - shift + tilt * y;
    const lung = Math.max(...[-1, 1].map((s) => smoothStep(1, 0.08, Math.hypot((across - s * 0.42) / 0.34, y / 0.75))));
    let value = 0.75 - 0.5 * lung + 0.07 * lung * Math.sin(ribs * (y + 0.4 * across * across)) + 0.02 * texture(x, y);
    value += 0.15 * smoothStep(0.1, 0.04, Math.abs(across));
    if (opacity) value += 0.35 * smoothStep(spot.r, 0.06, Math.hypot(across - spot.x, y - spot.y));
    const grey = Math.min(1, Math.max(0, value * gain));
    return [grey, grey, grey];
  };
}

function tissue(random: Random, dense: boolean): Painting {
  const eosin: Rgb = [0.93 - 0.08 * random.uniform(), 0.68 + 0.1 * random.uniform(), 0.8];
  const haematoxylin: Rgb = [0.36 + 0.1 * random.uniform(), 0.22, 0.52];
  const nuclei = Array.from({ length: dense ? 40 + random.integer(16) : 10 + random.integer(8) }, () => ({
    x: 2.2 * random.uniform() - 1.1,
    y: 2.2 * random.uniform() - 1.1,
    r: (dense ? 0.1 : 0.075) * (0.8 + 0.5 * random.uniform()),
  }));
  const fibres = waves(random, 7);
  return (x, y) => {
    const stroma = mix(eosin, [1, 1, 1], 0.15 + 0.12 * fibres(x, y));
    const nearest = Math.min(...nuclei.map((cell) => Math.hypot(x - cell.x, y - cell.y) / cell.r));
    return mix(stroma, haematoxylin, 0.9 * smoothStep(1, 0.12, nearest));
  };
}

const styles = [
  { name: "lesion", classes: ["regular", "irregular"], paint: lesion },
  { name: "radiograph", classes: ["clear", "opacity"], paint: radiograph },
  { name: "tissue", classes: ["sparse", "dense"], paint: tissue },
] as const;

/** One picture as interleaved RGB bytes, with the colour cast and noise of the camera that took it. */
function expose(painting: Painting, cast: Rgb, random: Random): Buffer {
  const pixels = Buffer.alloc(side * side * 3);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const colour = painting((2 * column) / side - 1, (2 * row) / side - 1);
      for (let channel = 0; channel < 3; channel++) {
        const value = colour[channel]! * cast[channel]! + 0.015 * random.normal();
        pixels[(row * side + column) * 3 + channel] = Math.round(255 * Math.min(1, Math.max(0, value)));
      }
    }
  }
  return pixels;
}

export interface PhantomOptions {
  readonly directory: string;
  readonly hospitals: readonly string[];
  readonly trainPerHospital: number;
  readonly testPerHospital: number;
  readonly seed: number;
}

/**
 * Writes `images/*.png` and `labels.csv` (file,label,split,hospital). Three pictures in five of a hospital are of the
 * style it specialises in, and each hospital's camera has its own colour cast.
 */
export async function drawPhantoms(options: PhantomOptions): Promise<void> {
  mkdirSync(join(options.directory, "images"), { recursive: true });
  const rows = ["file,label,split,hospital"];
  for (const [position, hospital] of options.hospitals.entries()) {
    const camera = randomFor("camera", options.seed, hospital);
    const cast: Rgb = [0.9 + 0.2 * camera.uniform(), 0.9 + 0.2 * camera.uniform(), 0.9 + 0.2 * camera.uniform()];
    for (let index = 0; index < options.trainPerHospital + options.testPerHospital; index++) {
      const random = randomFor("phantom", options.seed, hospital, index);
      const style = styles[random.uniform() < 0.6 ? position % styles.length : random.integer(styles.length)]!;
      const second = random.integer(2) === 1;
      const file = `images/${hospital}-${String(index).padStart(4, "0")}.png`;
      const pixels = expose(style.paint(random, second), cast, random);
      await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
        .png()
        .toFile(join(options.directory, file));
      const split = index < options.trainPerHospital ? "train" : "test";
      rows.push(`${file},${style.name}-${style.classes[second ? 1 : 0]},${split},${hospital}`);
    }
  }
  writeFileSync(join(options.directory, "labels.csv"), `${rows.join("\n")}\n`);
}
