import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson } from "@consilium/shared/canonical-json.js";
import { CheckpointReader } from "@consilium/shared/checkpoint/reader.js";
import { parseYaml } from "@consilium/shared/config/load-yaml.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { parseCertificate, readLeaf } from "@consilium/shared/identity/certificate-check.js";
import { createCertificateRequest, publicKeyOfRequest } from "@consilium/shared/identity/certificate-request.js";
import { decodeInvitation, encodeInvitation } from "@consilium/shared/identity/invitation.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { readSafetensors, writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { TensorRecord } from "@consilium/shared/params/torch/pickle-values.js";
import { openTorchFile } from "@consilium/shared/params/torch/torch-file.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import { testGovernance, testRoster } from "@consilium/shared/roster/example-governance.js";
import { parseSignedRoster, signedRosterBytes } from "@consilium/shared/roster/signed-roster.js";
import { RoundPlan } from "@consilium/shared/rpc/gen/federation.js";
import { listSegments } from "@consilium/site-agent/audit/segments.js";
import { verifyLog } from "@consilium/site-agent/audit/verify-log.js";
import { policySchema } from "@consilium/site-agent/policy.js";
import { checkPlan, requireRunTerms } from "@consilium/site-agent/round/plan-check.js";
import { readPlan } from "@consilium/site-agent/rpc/messages.js";
import { policyTemplate } from "@consilium/site-agent/templates.js";
import { PickledTensor } from "../../../shared/src/params/testing/pickle-writer.js";
import { float32, torchFileOf } from "../../../shared/src/params/testing/torch-writer.js";
import { newDirectory, someEvent, testIdentity, testLog } from "../../../site-agent/src/audit/test-log.js";
import { createTestFederation } from "../../support/identities.js";
import { tinyRun } from "../../support/small-federation.js";
import { enrolmentParser } from "./enrolment-parser.js";
import type { Parser } from "./finding.js";

const text = (value: string): Buffer => Buffer.from(value);

/** Everything that reads what came from outside, with samples that it accepts. `remove` takes its files away. */
export async function everyParser(): Promise<{ parsers: Parser[]; remove: () => void }> {
  const directory = mkdtempSync(join(tmpdir(), "fuzz-parsers-"));
  const parsers = [
    ...textParsers(),
    planParser(),
    await tensorParser(directory),
    torchParser(directory),
    auditParser(),
    ...(await certificateParsers()),
  ];
  return {
    parsers: [...parsers, await checkpointParser(directory)],
    remove: () => rmSync(directory, { recursive: true }),
  };
}

/** A reader of files, given bytes. */
function ofFile(path: string, read: (path: string) => unknown): Parser["parse"] {
  return (input) => {
    writeFileSync(path, input);
    return read(path);
  };
}

const config = runConfigSchema.parse({ ...tinyRun, model: { architecture: "vit-nano", imageSize: 16, patchSize: 8 } });
const layout = checkpointLayout(config);

function textParsers(): Parser[] {
  const invitation = encodeInvitation({
    ...{ federation: "demo", siteId: "north", host: "localhost", enrolmentPort: 7701, port: 7700 },
    ...{ secret: new Uint8Array(32), pin: new Uint8Array(32) },
  });
  const governance = testGovernance();
  const roster = testRoster({ north: new Uint8Array(32).fill(1), south: new Uint8Array(32).fill(2) }, governance);
  return [
    {
      target: "run configuration",
      samples: [text(JSON.stringify(tinyRun)), text("name: a\nmethod: {name: mae}\n")],
      parse: (input) => parseYaml(input.toString("utf8"), runConfigSchema, "run.yaml"),
    },
    {
      target: "policy",
      samples: [text(policyTemplate("demo"))],
      parse: (input) => parseYaml(input.toString("utf8"), policySchema, "policy.yaml"),
    },
    { target: "invitation", samples: [text(invitation)], parse: (input) => decodeInvitation(input.toString("utf8")) },
    { target: "roster", samples: [signedRosterBytes(roster)], parse: (input) => parseSignedRoster(input) },
  ];
}

function planParser(): Parser {
  const terms = planTerms(config, layout, 1);
  const message = RoundPlan.fromPartial({
    federation: "demo",
    key: { runId: "run", round: 1, attempt: 1 },
    runConfigJson: canonicalJson(config),
    checkpointDigest: Buffer.alloc(32, 1),
    checkpointBytes: 4096,
    layoutDigest: Buffer.from(layout.digest),
    dimension: layout.dimension,
    ...{ ...terms, tensorClips: [...terms.tensorClips], lanes: [...terms.lanes] },
  });
  const parse = (input: Buffer) => {
    const { plan } = readPlan({ body: input, signature: Buffer.alloc(64) });
    requireRunTerms(plan, checkPlan(plan));
  };
  return { target: "plan", samples: [RoundPlan.encode(message).finish()], parse };
}

const tensors = [
  { name: "a", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
  { name: "b.weight", shape: [4], data: Float32Array.of(1, -1, 0, 9) },
];

async function tensorParser(directory: string): Promise<Parser> {
  const path = join(directory, "sample.safetensors");
  await writeSafetensors(path, tensors, { name: "sample" });
  return {
    target: "safetensors",
    samples: [readFileSync(path)],
    parse: ofFile(join(directory, "spoiled.safetensors"), readSafetensors),
  };
}

async function checkpointParser(directory: string): Promise<Parser> {
  const path = join(directory, "sample-checkpoint.safetensors");
  const [a, b] = tensors as [(typeof tensors)[number], (typeof tensors)[number]];
  await writeSafetensors(path, [a, b]);
  const small = {
    dimension: 10,
    parameters: [
      { ...layout.parameters[0]!, name: "a", shape: [2, 3], offset: 0, size: 6 },
      { ...layout.parameters[0]!, name: "b.weight", shape: [4], offset: 6, size: 4 },
    ],
  };
  const read = async (file: string) => {
    const reader = await CheckpointReader.open(file, small);
    try {
      await reader.read(new Float32Array(10));
    } finally {
      await reader.close();
    }
  };
  return {
    target: "checkpoint",
    samples: [readFileSync(path)],
    parse: ofFile(join(directory, "spoiled-checkpoint"), read),
  };
}

function torchParser(directory: string): Parser {
  const pickle = new Map([
    ["a", new PickledTensor("0", [2, 2])],
    ["b", new PickledTensor("1", [3])],
  ]);
  const content = { pickle, storages: { "0": float32(1, 2, 3, 4), "1": float32(-1, 0.5, 9) } };
  const samples = [torchFileOf(content), torchFileOf({ ...content, deflated: true })];
  const read = async (path: string) => {
    const file = await open(path);
    try {
      const { root, readTensor } = await openTorchFile(file);
      for (const value of root instanceof Map ? root.values() : []) {
        if (value instanceof TensorRecord) await readTensor(value);
      }
    } finally {
      await file.close();
    }
  };
  return { target: "torch weights", samples, parse: ofFile(join(directory, "spoiled.pth"), read) };
}

function auditParser(): Parser {
  const directory = newDirectory();
  const log = testLog(directory);
  for (let index = 0; index < 3; index++) log.record(someEvent(index));
  log.checkpoint();
  log.close();
  const { path } = listSegments(directory)[0]!;
  const sample = readFileSync(path);
  return {
    target: "audit log",
    samples: [sample],
    parse: ofFile(path, () => verifyLog(directory, testIdentity.publicKey)),
  };
}

async function certificateParsers(): Promise<Parser[]> {
  const federation = await createTestFederation();
  const { certPem } = await federation.bundle("site", "north");
  const request = createCertificateRequest(federation.key, "north");
  await federation.remove();
  const der = parseCertificate(certPem).raw;
  return [
    { target: "certificate", samples: [der, text(certPem)], parse: (input) => readLeaf(parseCertificate(input)) },
    { target: "certificate request", samples: [text(request)], parse: (input) => publicKeyOfRequest(input.toString()) },
    enrolmentParser(request),
  ];
}
