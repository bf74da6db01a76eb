import { randomFor } from "@consilium/shared/random.js";
import type { HostileFederation } from "../../support/hostile-federation.js";
import { insideText } from "../../support/inside-text.js";
import { frame, type RawConnection, type RawReply } from "../../support/raw-http2.js";
import { LoopWatch } from "./busy-time.js";
import { type Finding, findingOf, slowestAllowedMs, type Tally } from "./finding.js";
import { type FuzzedMethod, sampleOf, type Values } from "./methods.js";
import { spoiled } from "./mutate.js";

/** Calls in flight at once; the server takes 64 on a connection. */
const inFlight = 32;
const noAnswerMs = 10_000;
/** A stream of answers may still end with an error after its first. */
const listenedMs = 20;
const internal = 13;
const unknown = 2;
const noStatus = -1;

export interface CallTarget {
  readonly method: FuzzedMethod;
  readonly about: Values;
  /** A new connection of a caller that may call it. */
  readonly connect: () => Promise<RawConnection>;
}

/** grpc-js's own answers, before any of this project's code, as gRPC asks for: they say no more than the caller knows. */
const ofTheLibrary = /^(Invalid grpc-timeout value ".*"|Failed to decompress message)$/;

/** What is wrong with an answer; undefined for one that any bad call may get. */
export function problemOf({ code, details, reset, answered }: RawReply): string | undefined {
  if (code === noStatus && !answered) return `ends the call without a status, HTTP/2 error ${reset}`;
  if (code === internal && ofTheLibrary.test(details)) return undefined;
  if (code === internal || code === unknown) return `answers ${code}: ${details}`;
  return insideText.test(details) ? `says of its inside: ${details}` : undefined;
}

/** What is no gRPC may also be answered by HTTP alone, or be reset. */
function problemOfRequest(reply: RawReply): string | undefined {
  const byHttp = reply.code === noStatus && (reply.reset !== 0 || reply.httpStatus !== undefined);
  return byHttp ? undefined : problemOf(reply);
}

/** One connection for all senders. A server ends one whose caller leaves too many calls. */
class Line {
  readonly #connect: () => Promise<RawConnection>;
  #open: Promise<RawConnection>;

  constructor(connect: () => Promise<RawConnection>) {
    this.#connect = connect;
    this.#open = connect();
  }

  /** Another one where it was lost; asked by many at once, it opens one. */
  async connection(): Promise<RawConnection> {
    const asked = this.#open;
    if (!(await asked).closed) return asked;
    if (this.#open === asked) this.#open = this.#connect();
    return this.connection();
  }

  /** The answer; where it was the connection that ended, that of a second try. Undefined when none comes. */
  async answer(send: (connection: RawConnection) => Promise<RawReply>): Promise<RawReply | undefined> {
    const first = await inTime(send(await this.connection()));
    const lost = first !== undefined && first.code === noStatus && !first.answered;
    return lost ? inTime(send(await this.connection())) : first;
  }

  async close(): Promise<void> {
    (await this.#open).close();
  }
}

/** Sends `count` spoiled messages to one method, many at a time. */
export async function fuzzMethod(
  { method, about, connect }: CallTarget,
  { count, seed }: { readonly count: number; readonly seed: string },
): Promise<{ tally: Tally; findings: Finding[] }> {
  const { path, input, streams } = method;
  const samples = Array.from({ length: 6 }, (_, choice) => sampleOf(input, choice, about));
  const targetSeed = `${seed}/${path}`;
  const inputOf = (number: number) => spoiled(samples[number % samples.length]!, { seed: targetSeed, number });
  const tally: Tally = { target: path.split(".").at(-1)!, inputs: 0, accepted: 0, slowestMs: 0 };
  const findings: Finding[] = [];
  const note = (number: number, problem: string | undefined) => {
    if (problem === undefined || findings.length >= 5) return;
    findings.push(findingOf({ target: path, seed: targetSeed, number, problem }, inputOf(number)));
  };
  const loop = new LoopWatch();
  let next = 0;
  const line = new Line(connect);
  const sender = async () => {
    for (let number = next++; number < count; number = next++) {
      const body = frame(inputOf(number));
      const reply = await line.answer((connection) =>
        streams ? connection.listen(path, body, listenedMs) : connection.call(path, body),
      );
      tally.inputs++;
      if (reply === undefined) note(number, `is not answered within ${noAnswerMs} ms`);
      else note(number, problemOf(reply));
      if (reply?.code === 0 || reply?.answered === true) tally.accepted++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, sender));
  await line.close();
  loop.stop();
  tally.slowestMs = loop.longestMs;
  if (tally.slowestMs > slowestAllowedMs) note(count - 1, `held the event loop for ${Math.round(tally.slowestMs)} ms`);
  return { tally, findings };
}

/** Undefined when no answer comes. */
async function inTime(reply: Promise<RawReply>): Promise<RawReply | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), noAnswerMs);
  });
  const first = await Promise.race([reply, late]);
  clearTimeout(timer);
  return first;
}

const paths = ["/", "", "//", "/x", "/consilium.v1.FederationService/Nothing", `/${"a".repeat(900)}`, "*", "/../admin"];
const types = ["application/grpc", "application/grpc+json", "text/html", "application/grpc-web", "", "x".repeat(500)];
const methods = ["POST", "GET", "PUT", "OPTIONS", "BREW"];
const encodings = ["identity", "gzip", "deflate", "br", "nothing", "gzip,gzip"];
const timeouts = ["1S", "0n", "99999999H", "-1S", "1", "x", "1".repeat(30)];

/** Requests whose headers and bodies are no gRPC at all. */
export async function fuzzHeaders(
  { federation, connect }: { readonly federation: HostileFederation; readonly connect: () => Promise<RawConnection> },
  { count, seed }: { readonly count: number; readonly seed: string },
): Promise<{ tally: Tally; findings: Finding[] }> {
  const target = "HTTP/2 headers and frames";
  const tally: Tally = { target, inputs: 0, accepted: 0, slowestMs: 0 };
  const findings: Finding[] = [];
  const line = new Line(connect);
  let next = 0;
  const sender = async () => {
    for (let number = next++; number < count; number = next++) {
      const random = randomFor(number, `${seed}/${target}`);
      const pick = (from: readonly string[]) => from[random.integer(from.length)]!;
      const body = spoiled(frame(Buffer.alloc(random.integer(64), 7)), { seed: `${seed}/${target}`, number });
      const headers = {
        ":method": pick(methods),
        "content-type": pick(types),
        "grpc-encoding": pick(encodings),
        "grpc-timeout": pick(timeouts),
        [`x-${random.integer(1000)}${random.integer(2) === 0 ? "-bin" : ""}`]: "?".repeat(random.integer(2000)),
      };
      const path = random.integer(2) === 0 ? "/consilium.v1.SecAggService/Upload" : pick(paths);
      const startedMs = performance.now();
      try {
        const reply = await line.answer((connection) => connection.call(path, body, headers));
        tally.inputs++;
        const problem = reply === undefined ? "is not answered" : problemOfRequest(reply);
        if (problem !== undefined) findings.push(findingOf({ target, seed, number, problem }, body));
      } catch {
        // Node's own client refuses to send some of it.
        tally.inputs++;
      }
      tally.slowestMs = Math.max(tally.slowestMs, performance.now() - startedMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, sender));
  await line.close();
  // Whoever else is there is still served.
  await federation.admin("researcher").listSites();
  return { tally, findings };
}
