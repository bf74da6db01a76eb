import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import type { ReceivedResult } from "@consilium/shared/protocol.js";
import type { SignedRoster } from "@consilium/shared/roster/signed-roster.js";
import type { RpcChannel } from "@consilium/shared/rpc/channel.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import type {
  CheckpointChunk,
  CheckpointRequest,
  Directive,
  ResultsRequest,
  SiteReport,
  StageCall,
  StageMessage,
  StageOutcome,
} from "../round/coordinator.js";
import type { AgentClient, Renewed } from "./coordinator-client.js";

/** A channel with one certificate, and the calls over it. */
export interface Line {
  readonly channel: Pick<RpcChannel, "ready" | "close">;
  readonly client: AgentClient;
}

interface OpenLine extends Line {
  /** Calls in progress. */
  inUse: number;
  /** Fires once another line takes over. */
  readonly retired: AbortController;
}

/** A new certificate's connection must be up within this; else the old one goes on. */
const readyTimeoutMs = 20_000;

/**
 * The coordinator over a connection whose certificate can be replaced. A channel's certificate is fixed when it is
 * made: the next one gets a channel of its own, calls that are in progress end where they began, and the attached stream
 * moves over at once.
 */
export class RenewableClient implements AgentClient {
  readonly #open: (bundle: TlsBundle) => Line;
  #bundle: TlsBundle;
  #line: OpenLine | undefined;
  #closed = false;

  /** @param open makes a channel; it connects when it is first used */
  constructor(bundle: TlsBundle, open: (bundle: TlsBundle) => Line) {
    this.#bundle = bundle;
    this.#open = open;
  }

  get bundle(): TlsBundle {
    return this.#bundle;
  }

  /**
   * Goes over to this certificate once the coordinator has accepted it and `keep` has stored it.
   * @throws ConsiliumError "unreachable" when it was not accepted, or what `keep` throws; then nothing changes
   */
  async replace(bundle: TlsBundle, keep: () => Promise<void>): Promise<void> {
    const next = openLine(this.#open(bundle));
    try {
      await next.channel.ready(readyTimeoutMs);
      await keep();
    } catch (thrown) {
      next.channel.close();
      throw thrown;
    }
    this.#retire();
    this.#bundle = bundle;
    this.#line = next;
    if (this.#closed) this.close();
  }

  /** Lets go of a connection that leads nowhere; the next call makes a new one. */
  rest(): void {
    this.#retire();
  }

  close(): void {
    this.#closed = true;
    this.#line?.channel.close();
    this.#line = undefined;
  }

  async *attach(signal: AbortSignal): AsyncGenerator<Directive> {
    while (!signal.aborted) {
      const line = this.#take();
      const moved = line.retired.signal;
      try {
        yield* line.client.attach(AbortSignal.any([signal, moved]));
        if (!moved.aborted) return;
      } catch (thrown) {
        if (signal.aborted || !moved.aborted) throw thrown;
      } finally {
        this.#giveBack(line);
      }
    }
  }

  fetchCheckpoint(request: CheckpointRequest): AsyncGenerator<CheckpointChunk> {
    return this.#reading((client) => client.fetchCheckpoint(request));
  }

  fetchAggregate(request: CheckpointRequest): AsyncGenerator<CheckpointChunk> {
    return this.#reading((client) => client.fetchAggregate(request));
  }

  fetchResults(request: ResultsRequest): AsyncGenerator<ReceivedResult> {
    return this.#reading((client) => client.fetchResults(request));
  }

  fetchRosters(afterVersion: number): Promise<readonly SignedRoster[]> {
    return this.#during((client) => client.fetchRosters(afterVersion));
  }

  report(report: SiteReport, signal: AbortSignal): Promise<void> {
    return this.#during((client) => client.report(report, signal));
  }

  exchange(message: StageMessage, call: StageCall): Promise<StageOutcome> {
    return this.#during((client) => client.exchange(message, call));
  }

  upload(upload: MaskedUpload, call: StageCall): Promise<StageOutcome> {
    return this.#during((client) => client.upload(upload, call));
  }

  renewCertificate(csrPem: string, signal: AbortSignal): Promise<Renewed> {
    return this.#during((client) => client.renewCertificate(csrPem, signal));
  }

  async *#reading<T>(call: (client: AgentClient) => AsyncIterable<T>): AsyncGenerator<T> {
    const line = this.#take();
    try {
      yield* call(line.client);
    } finally {
      this.#giveBack(line);
    }
  }

  async #during<T>(call: (client: AgentClient) => Promise<T>): Promise<T> {
    const line = this.#take();
    try {
      return await call(line.client);
    } finally {
      this.#giveBack(line);
    }
  }

  #take(): OpenLine {
    this.#line ??= openLine(this.#open(this.#bundle));
    this.#line.inUse++;
    return this.#line;
  }

  #giveBack(line: OpenLine): void {
    line.inUse--;
    if (line.retired.signal.aborted && line.inUse === 0) line.channel.close();
  }

  #retire(): void {
    const line = this.#line;
    this.#line = undefined;
    if (line === undefined) return;
    line.retired.abort();
    if (line.inUse === 0) line.channel.close();
  }
}

function openLine(line: Line): OpenLine {
  return { ...line, inUse: 0, retired: new AbortController() };
}
