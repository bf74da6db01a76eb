import { backoffDelayMs, sleep } from "@consilium/shared/abort.js";
import { systemClock } from "@consilium/shared/clock.js";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { loadTlsBundle } from "@consilium/shared/identity/key-files.js";
import { generateTlsKey, type TlsKeyPair } from "@consilium/shared/identity/tls-key.js";
import { silentLogger } from "@consilium/shared/log.js";
import { openChannel } from "@consilium/shared/rpc/channel.js";
import { stayAttached } from "@consilium/site-agent/attachment.js";
import { EgressRecord } from "@consilium/site-agent/audit/egress-record.js";
import { loadEnrolment } from "@consilium/site-agent/enrolment.js";
import { siteHome } from "@consilium/site-agent/home.js";
import { type JoinOptions, join } from "@consilium/site-agent/join.js";
import { clientOver } from "@consilium/site-agent/rpc/coordinator-client.js";
import { enrol } from "@consilium/site-agent/rpc/enrolment-client.js";
import { RenewableClient } from "@consilium/site-agent/rpc/renewable-client.js";

/** Many sites of the join storm in one process: each joins and stays attached as an agent does, and does nothing else. */

export interface StormSite {
  readonly home: string;
  readonly invitation: string;
}

/** The sites of one process, and how many TLS keys they share. */
export interface Storm {
  readonly sites: readonly StormSite[];
  readonly keys: number;
}

/** How it went for one site; times are milliseconds since the epoch. */
export interface StormFigures {
  readonly joinedMs: number;
  readonly attachedMs: number;
  /** Tries to join that were refused, or found no way. */
  readonly joinRetries: number;
  /** Tries to attach, likewise. */
  readonly attachRetries: number;
}

/** An agent's own; a person who gives the command to join again is not quicker. */
const patience = { initialMs: 1000, maxMs: 15_000, random: Math.random };
const passing: ReadonlySet<string> = new Set(["overloaded", "unreachable", "deadline"]);

/** Everything up to the first message: what takes a site seconds by itself is no part of the storm. */
async function prepare({ home, invitation }: StormSite, key: TlsKeyPair): Promise<void> {
  const notYet = new ConsiliumError("unreachable", "the storm has not begun");
  const options: JoinOptions = { home: siteHome(home), invitation, enrol: () => Promise.reject(notYet) };
  await join({ ...options, makeKey: async () => key }).catch((thrown: unknown) => {
    if (thrown !== notYet) throw thrown;
  });
}

async function joinPatiently({ home, invitation }: StormSite): Promise<number> {
  for (let retries = 0; ; retries++) {
    try {
      await join({ home: siteHome(home), invitation, enrol });
      return retries;
    } catch (thrown) {
      if (!passing.has(asConsiliumError(thrown).code)) throw thrown;
      await sleep(backoffDelayMs(retries, patience));
    }
  }
}

const nowhere = { record: () => {} };
const uncounted = { rejected: () => {}, sent: () => {}, received: () => {} };

/** What an agent says to the coordinator when it starts; resolves once it is attached, with how often it tried in vain. */
async function attach({ home }: StormSite): Promise<number> {
  const { identity } = siteHome(home);
  const enrolment = loadEnrolment(siteHome(home));
  const egress = new EgressRecord({ trail: nowhere, logger: silentLogger });
  const client = new RenewableClient(await loadTlsBundle(identity.directory), (bundle) => {
    const channel = openChannel({ ...enrolment, proxy: undefined, bundle });
    const planPublicKey = Buffer.from(enrolment.planPublicKey, "hex");
    const options = { siteId: enrolment.siteId, agentVersion: "bench", planPublicKey, traffic: uncounted };
    const gate = { admits: () => true };
    return { channel, client: clientOver(channel, { ...options, gate, egress, logger: silentLogger }) };
  });
  let retries = 0;
  client.fetchRosters(0).catch(() => {});
  return new Promise((resolve) => {
    void stayAttached({
      ...{ coordinator: client, clock: systemClock, backoff: patience, signal: new AbortController().signal },
      receive: async () => {},
      reachability: { reached: () => {}, failed: () => retries++, lasting: false },
      onAttached: (attached) => {
        if (attached) resolve(retries);
      },
      onConnection: () => {},
      rest: () => client.rest(),
    });
  });
}

async function takePart(site: StormSite): Promise<StormFigures> {
  const joinRetries = await joinPatiently(site);
  const joinedMs = Date.now();
  const attachRetries = await attach(site);
  return { joinedMs, attachedMs: Date.now(), joinRetries, attachRetries };
}

/** Asked twice: with the sites, which are then prepared, and to begin. */
async function answer(message: Storm | "begin"): Promise<unknown> {
  if (message === "begin") return Promise.all(sites.map(takePart));
  sites = message.sites;
  const keys = await Promise.all(Array.from({ length: message.keys }, generateTlsKey));
  await Promise.all(sites.map((site, index) => prepare(site, keys[index % keys.length]!)));
  return "prepared";
}

let sites: readonly StormSite[] = [];
process.on("message", (message: Storm | "begin") => {
  answer(message).then(
    (reply) => process.send?.(reply),
    (thrown: unknown) => {
      console.error(asConsiliumError(thrown).message);
      process.exit(1);
    },
  );
});
process.once("disconnect", () => process.exit(0));
