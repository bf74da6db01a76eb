import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { corpus } from "./hostile/corpus.js";
import { placeFiles, readFolder, surprises } from "./hostile/reading.js";

/**
 * Reads the whole hostile corpus: a thousand flipped bits and a hundred cuts of each format, and bombs that unpack to just
 * below the limits. Takes some minutes; names of sources as arguments choose among them. Ends with 1 when a file is read or refused otherwise than it should be.
 */
const scale = { flips: 1000, cuts: 100, bombPixels: 120_000_000 };

const chosen = process.argv.slice(2);
const root = await mkdtemp(join(tmpdir(), "consilium-hostile-"));
try {
  const placed = await placeFiles(root, corpus(scale));
  for (const [source, allowed] of placed) {
    if (chosen.length > 0 && !chosen.includes(source)) continue;
    const reading = await readFolder({ source, path: join(root, source) });
    const counts = new Map<string, number>();
    for (const outcome of reading.outcomes.values()) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    const told = [...counts].toSorted(([, a], [, b]) => b - a).map(([outcome, count]) => `${count} ${outcome}`);
    const memory = `${Math.round(reading.peakBytes / 1024 ** 2)} MiB at most`;
    const time = `${Math.round(reading.slowestMilliseconds)} ms of processors for the slowest`;
    console.log(`${source}: ${allowed.size} files, ${memory}, ${time}: ${told.join(", ")}`);
    const wrong = surprises(allowed, reading);
    for (const surprise of wrong) console.log(`  ${surprise}`);
    const isTooMuch = reading.peakBytes > 1024 ** 3 || reading.slowestMilliseconds > 10_000;
    if (wrong.length > 0 || isTooMuch) process.exitCode = 1;
  }
} finally {
  await rm(root, { recursive: true, force: true });
}
