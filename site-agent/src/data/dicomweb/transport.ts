import type { IncomingMessage, RequestOptions } from "node:http";
import http from "node:http";
import https from "node:https";
import { RequestFailure } from "./archive-failure.js";

export interface TransportOptions {
  /** Value of the Authorization header. */
  readonly authorization?: string | undefined;
  /** Certificates of the archive's authority, PEM; absent: those that the system trusts. */
  readonly authority?: string | undefined;
  /** Longest silence. A whole answer may take ten times as long. */
  readonly timeoutMilliseconds: number;
}

export interface Answer {
  readonly status: number;
  /** Lower case, without parameters. */
  readonly contentType: string;
  /** As the archive sent it. */
  readonly contentTypeHeader: string;
  readonly contentLength: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the answer early. */
  discard(): void;
}

const patience = 10;

/** HTTP with the timeouts, certificates and header that an archive needs. Redirections are not followed. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #agent: http.Agent;
  readonly #lib: typeof http | typeof https;

  /** @param base address of the service */
  constructor(base: URL, options: TransportOptions) {
    this.#options = options;
    this.#lib = base.protocol === "https:" ? https : http;
    const agentOptions = { keepAlive: true, maxSockets: 8 };
    this.#agent =
      base.protocol === "https:"
        ? new https.Agent({ ...agentOptions, ...(options.authority === undefined ? {} : { ca: options.authority }) })
        : new http.Agent(agentOptions);
  }

  /** @throws RequestFailure "transport" when no answer comes; `body` throws the same when it breaks off */
  async get(url: URL, accept: string): Promise<Answer> {
    const { authorization, timeoutMilliseconds } = this.#options;
    const deadline = AbortSignal.timeout(timeoutMilliseconds * patience);
    const options: RequestOptions = {
      agent: this.#agent,
      timeout: timeoutMilliseconds,
      signal: deadline,
      headers: { accept, ...(authorization === undefined ? {} : { authorization }) },
    };
    const message = await this.#send(url, options);
    const header = message.headers["content-type"] ?? "";
    const length = Number(message.headers["content-length"]);
    return {
      status: message.statusCode ?? 0,
      contentType: header.split(";")[0]!.trim().toLowerCase(),
      contentTypeHeader: header,
      contentLength: Number.isSafeInteger(length) ? length : undefined,
      body: bodyOf(message),
      discard: () => message.destroy(),
    };
  }

  #send(url: URL, options: RequestOptions): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = this.#lib.get(url, options, resolve);
      request.on("timeout", () => request.destroy(new SilenceError()));
      request.on("error", (cause) => reject(transportFailure(cause)));
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

class SilenceError extends Error {
  readonly code = "silent";
}

async function* bodyOf(message: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of message) yield chunk as Uint8Array;
  } catch (cause) {
    throw transportFailure(cause);
  }
  if (!message.complete) throw new RequestFailure("transport", "its answer broke off");
}

/** Codes only: messages may hold addresses. */
function transportFailure(cause: unknown): RequestFailure {
  if (cause instanceof RequestFailure) return cause;
  const { code, name } = (cause ?? {}) as NodeJS.ErrnoException;
  if (code === "silent" || name === "AbortError" || name === "TimeoutError") {
    return new RequestFailure("transport", "it does not answer in time");
  }
  return new RequestFailure("transport", `no connection (${code ?? "unknown"})`);
}
