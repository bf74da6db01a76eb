import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundProgress, RoundRecord, RunDetail, RunSummary } from "../round/progress.js";
import type { Admin } from "../rpc/admin-types.js";
import type { Surroundings } from "./surroundings.js";

/** Runs, rounds and surroundings for this folder's tests. */

export function runSummary(change: Partial<RunSummary> = {}): RunSummary {
  return {
    runId: "r-1",
    name: "derm",
    method: "simclr",
    model: "vit-nano",
    status: "running",
    statusReason: "",
    roundsDone: 0,
    roundsTotal: 4,
    lastLoss: 0,
    createdAtMs: Date.UTC(2025, 0, 1),
    updatedAtMs: Date.UTC(2025, 0, 1),
    checkpointDigest: "",
    ...change,
  };
}

export function roundRecord(round: number, change: Partial<RoundRecord> = {}): RoundRecord {
  return {
    round,
    attempts: 1,
    cohort: ["a", "b", "c"],
    dropped: [],
    loss: 5 - round,
    weight: 300,
    durationMs: 10_000,
    uploadedBytes: 3 * 2 ** 20,
    checkpointDigest: `${round}`.repeat(64),
    parentDigest: "0".repeat(64),
    figures: {},
    ...change,
  };
}

export function roundProgress(change: Partial<RoundProgress> = {}): RoundProgress {
  return {
    round: 1,
    attempt: 1,
    stage: "training",
    deadlineMs: 0,
    sites: [],
    waitingFor: "",
    startedAtMs: 0,
    ...change,
  };
}

export function runDetail(change: Partial<RunDetail> = {}): RunDetail {
  return { summary: runSummary(), current: undefined, history: [], configJson: "{}", ...change };
}

/** An admin whose every call fails unless the test gives it. */
export function fakeAdmin(calls: Partial<Admin>): Admin {
  const missing = (name: string) => () => {
    throw new ConsiliumError("internal", `the test did not expect ${name}`);
  };
  return {
    launchRun: missing("launchRun"),
    launchRunFrom: missing("launchRunFrom"),
    listRuns: missing("listRuns"),
    getRun: missing("getRun"),
    stopRun: missing("stopRun"),
    resumeRun: missing("resumeRun"),
    watchRun: missing("watchRun"),
    fetchWeights: missing("fetchWeights"),
    inviteSite: missing("inviteSite"),
    listSites: missing("listSites"),
    revokeSite: missing("revokeSite"),
    publishRoster: missing("publishRoster"),
    fetchRoster: missing("fetchRoster"),
    close: () => {},
    ...calls,
  };
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "consilium-cli-"));
}

/** A folder with a profile whose certificates nobody checks. */
export function profileFolder(): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "profile.yaml"), "address: localhost:7700\nfederation: skin\n");
  for (const name of ["ca.pem", "cert.pem", "key.pem"]) writeFileSync(join(folder, name), name);
  return folder;
}

export interface TestSurroundings {
  readonly surroundings: Surroundings;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

export function testSurroundings(change: Partial<Surroundings> & { admin?: Partial<Admin> } = {}): TestSurroundings {
  const written = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof written) => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const { admin = {}, ...rest } = change;
  const unexpected = (name: string) => () => Promise.reject(new ConsiliumError("internal", `unexpected ${name}`));
  const surroundings: Surroundings = {
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    env: {},
    userFolder: "/nowhere",
    clock: new ManualClock(Date.UTC(2025, 0, 1, 0, 1)),
    random: () => 0,
    newRequestId: () => "request-1",
    signal: new AbortController().signal,
    connect: () => fakeAdmin(admin),
    initCoordinator: unexpected("init"),
    serveCoordinator: unexpected("serve"),
    findEncoderExporter: () => unexpected("export"),
    ...rest,
  };
  return { surroundings, stdout: () => written.stdout, stderr: () => written.stderr };
}
