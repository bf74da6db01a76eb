import { sleep } from "@consilium/shared/abort.js";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { runMetadata } from "@consilium/shared/checkpoint/metadata.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { Entropy } from "@consilium/shared/entropy.js";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialBlocks } from "@consilium/shared/params/initialize.js";
import { requireHopefulPrivacy } from "@consilium/shared/privacy/prediction.js";
import type { DropReason, RoundKey } from "@consilium/shared/protocol.js";
import type { RunRow } from "../store/run-store.js";
import { storedState } from "./attempt.js";
import { Changes } from "./changes.js";
import { type DriverOptions, RunDriver } from "./driver.js";
import type { SignedPlan } from "./ports.js";
import {
  committedRounds,
  progressOf,
  type RoundProgress,
  type RunDetail,
  type RunSummary,
  summaryOf,
} from "./progress.js";
import { sumsOf } from "./results.js";
import { removeSums } from "./retention.js";
import { rulesOf, selectionFloor } from "./rules.js";
import { parseRunFile, parseStoredConfig } from "./run-file.js";
import type { RoundState } from "./state.js";

/** Watchers hear of changes at most this often. */
const watchIntervalMs = 250;

/** Weights that a run begins with instead of its seed's. */
export interface GivenWeights {
  /** SHA-256 of the file that they come from, hex. */
  readonly source: string;
  /** Exactly this many finite values, in the checkpoint's order. */
  values(dimension: number): AsyncIterable<Float32Array>;
}

export interface LaunchRequest {
  readonly requestId: string;
  readonly configYaml: string;
  /** URI of the caller's certificate. */
  readonly launchedBy: string;
}

/** All runs. One is active at a time; the others wait their turn in the order of their launch. */
export class RunQueue {
  readonly #options: DriverOptions;
  readonly #entropy: Entropy;
  readonly #changes = new Changes();
  #active: RunDriver | undefined;
  #closed = false;

  constructor(options: DriverOptions & { readonly entropy: Entropy }) {
    this.#options = options;
    this.#entropy = options.entropy;
    options.registry.listen({
      siteAttached: (siteId) => {
        if (options.membership.admits(siteId)) this.#active?.apply({ kind: "site-attached", siteId });
      },
      siteDetached: (siteId) => this.#active?.apply({ kind: "site-detached", siteId }),
    });
  }

  /** Goes on with the run that an earlier process was at, then with the queue. */
  async start(): Promise<void> {
    const { store, spool, aggregates, codec } = this.#options;
    const running = store.listRuns().filter((run) => run.status === "running");
    const attempts = running.flatMap((run) => store.newestAttempt(run.runId) ?? []);
    spool.sweep(attempts.map((attempt) => attempt.key));
    const unfinished = store.listRuns().filter((run) => run.status !== "completed");
    aggregates.sweep(unfinished.flatMap(({ runId }) => sumsOf(store, codec, { runId })));
    for (const run of running) await this.#verifyCheckpoint(run);
    const first = store.listRuns().find((run) => run.status === "running");
    if (first !== undefined) this.#activate(first, { recovered: true });
    this.#pump();
  }

  close(): void {
    this.#closed = true;
    this.#active?.close();
  }

  /** The driver of an attempt's run, when the attempt is the current one. */
  driverOf(key: RoundKey): RunDriver | undefined {
    const current = this.#active?.state?.key;
    const same = current?.runId === key.runId && current.round === key.round && current.attempt === key.attempt;
    return same ? this.#active : undefined;
  }

  /** The driver of that round, whichever attempt it is at. */
  driverOfRound({ runId, round }: RoundKey): RunDriver | undefined {
    const current = this.#active?.state?.key;
    return current?.runId === runId && current.round === round ? this.#active : undefined;
  }

  planFor(siteId: string): SignedPlan | undefined {
    return this.#active?.planFor(siteId);
  }

  /** Another roster was published: nothing that has not gone far is finished by the old one. */
  rosterChanged(): void {
    this.#active?.apply({ kind: "roster-changed" });
  }

  dropSite(siteId: string, reason: DropReason): void {
    this.#active?.apply({ kind: "site-dropped", siteId, reason });
  }

  /**
   * Adds a run, or returns the one that the same request made before; then `given` is not asked for its values.
   * @throws ConsiliumError "config-invalid" naming every line that does not fit, "policy-refused" for a private run that
   * could learn nothing, and whatever `given` throws
   */
  async launch(request: LaunchRequest, given?: GivenWeights): Promise<RunSummary> {
    const { store } = this.#options;
    if (request.requestId === "" || request.requestId.length > 100) {
      throw new ConsiliumError("config-invalid", "the request has no id, or one of more than 100 characters");
    }
    const existing = store.findRunByRequest(request.requestId);
    if (existing !== undefined) return this.#summary(existing);
    const config = parseRunFile(request.configYaml);
    requireHopefulPrivacy(config);
    const row = store.addRun(await this.#prepare(request, config, given));
    this.#pump();
    return this.#summary(this.#require(row.runId));
  }

  list(): RunSummary[] {
    return this.#options.store.listRuns().map((run) => this.#summary(run));
  }

  detail(runId: string): RunDetail {
    const run = this.#require(runId);
    const history = committedRounds(this.#options.store, runId);
    const config = parseStoredConfig(runId, run.configJson);
    const attempt = run.status === "completed" ? undefined : this.#options.store.newestAttempt(runId);
    return {
      summary: summaryOf(run, config, history),
      current: attempt === undefined ? undefined : this.#progress(storedState(attempt)),
      history,
      configJson: run.configJson,
    };
  }

  #progress(state: RoundState): RoundProgress {
    const progress = progressOf(state);
    const lacksRoster = state.kind === "selecting" && this.#options.membership.roster === undefined;
    return lacksRoster ? { ...progress, waitingFor: "a roster: none is published" } : progress;
  }

  /** The run now and after each change, until it ends or the signal fires. */
  async *watch(runId: string, signal: AbortSignal): AsyncGenerator<RunDetail> {
    for (;;) {
      const changed = this.#changes.next(runId, signal);
      const detail = this.detail(runId);
      yield detail;
      if (["completed", "stopped", "failed"].includes(detail.summary.status)) return;
      await changed;
      await sleep(watchIntervalMs, signal);
    }
  }

  stop(runId: string, by: string): RunSummary {
    const run = this.#require(runId);
    const reason = `stopped by ${by}`;
    if (this.#active?.run.runId === runId) {
      this.#active.apply({ kind: "stopped", reason });
    } else if (run.status === "queued" || run.status === "paused") {
      this.#setStatus(runId, "stopped", reason);
    } else if (run.status !== "stopped") {
      throw new ConsiliumError("stale", `run ${runId} is ${run.status} and cannot be stopped`);
    }
    return this.#summary(this.#require(runId));
  }

  resume(runId: string): RunSummary {
    const run = this.#require(runId);
    if (run.status === "completed") {
      throw new ConsiliumError("stale", `run ${runId} is completed`, { remedy: "launch a new run to go on" });
    }
    if (run.status !== "running" && run.status !== "queued") this.#setStatus(runId, "queued", "");
    this.#pump();
    return this.#summary(this.#require(runId));
  }

  /** Digest of a committed round's checkpoint, or of the newest. @throws ConsiliumError "not-found" */
  checkpointOf(runId: string, round: number | undefined): string {
    const run = this.#require(runId);
    if (round === undefined) return run.checkpointDigest;
    if (round === 0) return run.initialDigest;
    const record = committedRounds(this.#options.store, runId).find((entry) => entry.round === round);
    if (record !== undefined) return record.checkpointDigest;
    throw new ConsiliumError("not-found", `run ${runId} has no committed round ${round}`, {
      remedy: "choose one of the rounds that 'consilium run show' lists",
    });
  }

  async #prepare(
    { requestId, launchedBy }: LaunchRequest,
    config: RunConfig,
    given: GivenWeights | undefined,
  ): Promise<RunRow> {
    const floor = selectionFloor(rulesOf(config, this.#options.times));
    const { sites } = config.cohort;
    if (sites !== undefined && sites.length < floor) {
      throw new ConsiliumError("config-invalid", `cohort.sites names ${sites.length} sites, a round needs ${floor}`, {
        remedy: "name more sites, or leave cohort.sites out to ask every enrolled site",
      });
    }
    const layout = checkpointLayout(config);
    const first = given?.values(layout.dimension) ?? initialBlocks(layout, config.seed);
    const configJson = canonicalJson(config);
    const metadata = {
      ...runMetadata(config, configJson),
      ...(given === undefined ? {} : { warmStart: given.source }),
    };
    const initial = await this.#options.checkpoints.writeInitial(layout, first, metadata);
    const nowMs = this.#options.clock.now();
    return {
      runId: `${config.name.slice(0, 50)}-${Buffer.from(this.#entropy.bytes(4)).toString("hex")}`,
      requestId,
      name: config.name,
      configJson,
      status: "queued",
      reason: "",
      checkpointDigest: initial.digest,
      initialDigest: initial.digest,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      launchedBy,
    };
  }

  #pump(): void {
    if (this.#closed || this.#active !== undefined) return;
    const next = this.#options.store.listRuns().find((run) => run.status === "queued");
    if (next === undefined) return;
    this.#setStatus(next.runId, "running", "");
    this.#activate(next, { recovered: false });
  }

  #activate(run: RunRow, how: { recovered: boolean }): void {
    const driver = this.#driverFor(run);
    if (driver === undefined) {
      this.#pump();
    } else {
      this.#active = driver;
      driver.start(how);
    }
  }

  /** Undefined when the run cannot go on: it has failed, and must not keep those behind it waiting. */
  #driverFor(run: RunRow): RunDriver | undefined {
    try {
      this.#options.checkpoints.requireSize(run.checkpointDigest);
      return new RunDriver(run, this.#options, {
        changed: () => this.#changes.notify(run.runId),
        ended: () => this.#ended(run.runId),
      });
    } catch (thrown) {
      this.#fail(run.runId, thrown);
      return undefined;
    }
  }

  #ended(runId: string): void {
    this.#active?.close();
    this.#active = undefined;
    this.#changes.notify(runId);
    removeSums(this.#options, runId);
    this.#pump();
  }

  async #verifyCheckpoint(run: RunRow): Promise<void> {
    try {
      await this.#options.checkpoints.open(run.checkpointDigest);
    } catch (thrown) {
      this.#fail(run.runId, thrown);
    }
  }

  #fail(runId: string, thrown: unknown): void {
    const { code, message } = asConsiliumError(thrown);
    this.#options.log.error("run-failed", { runId, code, reason: message });
    this.#setStatus(runId, "failed", message);
  }

  #setStatus(runId: string, status: RunRow["status"], reason: string): void {
    this.#options.store.setRunStatus(runId, { status, reason, nowMs: this.#options.clock.now() });
    this.#changes.notify(runId);
  }

  #require(runId: string): RunRow {
    const run = this.#options.store.findRun(runId);
    if (run !== undefined) return run;
    throw new ConsiliumError("not-found", `there is no run ${JSON.stringify(runId.slice(0, 100))}`, {
      remedy: "'consilium run list' shows every run",
    });
  }

  #summary(run: RunRow): RunSummary {
    return summaryOf(
      run,
      parseStoredConfig(run.runId, run.configJson),
      committedRounds(this.#options.store, run.runId),
    );
  }
}
