import { ConsiliumError } from "@consilium/shared/errors.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import { describe, expect, it } from "vitest";
import type { Directive } from "../round/coordinator.js";
import type { AgentClient } from "./coordinator-client.js";
import { RenewableClient } from "./renewable-client.js";

const bundle = (name: string): TlsBundle => ({ caPem: "", certPem: name, keyPem: "" });
const key = { runId: "run", round: 1, attempt: 1 };
const report = { key, phase: "training", code: "", clause: "", stepsDone: 0, accused: "" } as const;

/** Lines that write down what happens to them; a report ends when the test lets it. */
function surroundings(options: { refuses?: string } = {}) {
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const client = new RenewableClient(bundle("old"), ({ certPem: name }) => {
    log.push(`open ${name}`);
    const calls: AgentClient = {
      async *attach(signal): AsyncGenerator<Directive> {
        log.push(`attach ${name}`);
        yield { kind: "heartbeat", sentAtMs: 0 };
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
      },
      async *fetchCheckpoint() {},
      async *fetchAggregate() {},
      async *fetchResults() {},
      fetchRosters: async () => [],
      report: () => new Promise((resolve) => ends.set(name, resolve)),
      exchange: async () => ({ kind: "aborted", reason: name }),
      upload: async () => ({ kind: "aborted", reason: name }),
      renewCertificate: async () => ({ certificatePem: name, caPem: "" }),
    };
    const ready = async () => {
      if (options.refuses === name) throw new ConsiliumError("unreachable", "not accepted");
    };
    return { client: calls, channel: { ready, close: () => void log.push(`close ${name}`) } };
  });
  return { log, ends, client };
}

const never = new AbortController().signal;
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("RenewableClient", () => {
  it("ends what is in progress where it began, and begins the rest with the new certificate", async () => {
    const { log, ends, client } = surroundings();
    const reporting = client.report(report, never);
    await client.replace(bundle("new"), async () => void log.push("kept"));
    expect(log).toEqual(["open old", "open new", "kept"]);
    expect(await client.renewCertificate("", never)).toMatchObject({ certificatePem: "new" });
    expect(client.bundle.certPem).toBe("new");
    ends.get("old")!();
    await reporting;
    expect(log.at(-1)).toBe("close old");
    client.close();
    expect(log.at(-1)).toBe("close new");
  });

  it("moves the attached stream over without an end that anyone sees", async () => {
    const { log, client } = surroundings();
    const stopping = new AbortController();
    const directives = client.attach(stopping.signal);
    await directives.next();
    const next = directives.next();
    await client.replace(bundle("new"), async () => {});
    expect(await next).toMatchObject({ value: { kind: "heartbeat" } });
    expect(log).toEqual(["open old", "attach old", "open new", "close old", "attach new"].sort(byLog(log)));
    const last = directives.next();
    stopping.abort();
    await expect(last).rejects.toThrow("aborted");
  });

  it("stays with the old certificate where the new one is not accepted, or cannot be kept", async () => {
    const refused = surroundings({ refuses: "new" });
    await expect(refused.client.replace(bundle("new"), async () => {})).rejects.toMatchObject({ code: "unreachable" });
    expect(refused.log).toEqual(["open new", "close new"]);
    const full = surroundings();
    const kept = full.client.replace(bundle("new"), () => Promise.reject(new Error("disk full")));
    await expect(kept).rejects.toThrow("disk full");
    expect(full.client.bundle.certPem).toBe("old");
    expect(full.log).toEqual(["open new", "close new"]);
  });

  it("opens a new connection after a rest", async () => {
    const { log, client } = surroundings();
    await client.renewCertificate("", never);
    client.rest();
    await settle();
    await client.renewCertificate("", never);
    expect(log).toEqual(["open old", "close old", "open old"]);
  });
});

/** Whether the old channel is closed before or after the new stream begins is nobody's business. */
function byLog(log: readonly string[]): (a: string, b: string) => number {
  return (a, b) => log.indexOf(a) - log.indexOf(b);
}
