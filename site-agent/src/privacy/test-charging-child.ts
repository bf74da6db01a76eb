import { LedgerStore } from "./ledger-store.js";

/** Charges until it is killed, and says after each charge that it is on the disk. */
const [directory = ""] = process.argv.slice(2);
const store = new LedgerStore(directory);
const budget = { epsilon: 1000, delta: 1e-6 };
for (let round = 1; ; round++) {
  const mechanism = {
    mechanism: "sampled-gaussian",
    noiseMultiplier: 5,
    samplingRate: 0.01,
    steps: 1,
    orderGrid: 1,
  } as const;
  store.charge(store.read("images", budget), { id: `run/${round}/0`, ...mechanism });
  process.stdout.write(`${round}\n`);
}
