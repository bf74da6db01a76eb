import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import { callClientStream } from "@consilium/shared/rpc/calls.js";
import { openChannel } from "@consilium/shared/rpc/channel.js";
import { chunksOfBytes } from "@consilium/shared/rpc/chunks.js";
import { SecAggServiceClient, type UploadPart } from "@consilium/shared/rpc/gen/secagg.js";
import { startDelayProxy } from "../support/delay-proxy.js";
import type { BenchOptions, BenchResult } from "./bench.js";

interface Ready {
  readonly port: number;
  readonly bundle: TlsBundle;
}

/**
 * Uploads a masked vector over one connection with mutual TLS, through a proxy on this machine that holds each byte
 * back. Site and proxy share a process, the coordinator's end has its own. The median of the turns counts; a turn without
 * the delay tells what the machine itself allows.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const bytes = options.number("bytes", 87_451_152);
  const roundTripMs = options.number("rtt", 30);
  const turns = options.number("turns", 5);
  const server = fork(fileURLToPath(new URL("slow-link-server.ts", import.meta.url)));
  try {
    const [ready] = (await once(server, "message")) as [Ready];
    const vector = Buffer.alloc(bytes, 7);
    const without = await rates(ready, { vector, roundTripMs: 0, turns });
    const [sending, receiving] = [process.cpuUsage(), await usageOf(server)];
    const over = await rates(ready, { vector, roundTripMs, turns });
    const sent = secondsOf(process.cpuUsage(sending));
    const received = secondsOf(await usageOf(server)) - secondsOf(receiving);
    return {
      bytes,
      roundTripMs,
      megabytesPerSecond: round(median(over)),
      slowestMegabytesPerSecond: round(Math.min(...over)),
      withoutDelayMegabytesPerSecond: round(median(without)),
      // Of one core to each end, the proxy's share with the site's: what a machine with nothing else to do would allow.
      sendingMegabytesPerCoreSecond: round((turns * bytes) / 1e6 / sent),
      receivingMegabytesPerCoreSecond: round((turns * bytes) / 1e6 / received),
    };
  } finally {
    server.disconnect();
  }
}

const secondsOf = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1e6;

async function usageOf(server: ChildProcess): Promise<NodeJS.CpuUsage> {
  server.send("usage");
  const [usage] = (await once(server, "message")) as [NodeJS.CpuUsage];
  return usage;
}

async function rates(
  { port, bundle }: Ready,
  { vector, roundTripMs, turns }: { vector: Buffer; roundTripMs: number; turns: number },
): Promise<number[]> {
  const proxy = await startDelayProxy(port, roundTripMs);
  const channel = openChannel({ host: "localhost", port: proxy.port, federation: "demo", bundle, proxy: undefined });
  const client = channel.client(SecAggServiceClient);
  const found: number[] = [];
  try {
    await channel.ready(10_000);
    for (let turn = 0; turn < turns; turn++) {
      const startedMs = performance.now();
      await callClientStream(client.upload.bind(client), partsOf(vector));
      found.push(vector.length / 1e6 / ((performance.now() - startedMs) / 1000));
    }
    return found;
  } finally {
    channel.close();
    await proxy.stop();
  }
}

/** As an agent sends it, with its hash worked out on the way. */
async function* partsOf(vector: Buffer): AsyncGenerator<UploadPart> {
  const key = { runId: "bench", round: 1, attempt: 1 };
  yield { part: { $case: "header", value: { key, siteId: "hospital-a", words: vector.length / 4 } } };
  const hash = createHash("sha256");
  let index = 0;
  for (const { data } of chunksOfBytes(vector)) {
    hash.update(data);
    yield { part: { $case: "chunk", value: { index: index++, words: data } } };
  }
  yield { part: { $case: "seal", value: { sha256: hash.digest(), signature: Buffer.alloc(64) } } };
}

const round = (value: number): number => Math.round(value * 10) / 10;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
