import { join } from "node:path";

/** Where everything that one site agent owns lies. */
export interface SiteHome {
  readonly root: string;
  readonly siteYaml: string;
  readonly policyYaml: string;
  /** Holds certificate.pem, ca.pem and key.pem, and: */
  readonly identity: {
    readonly directory: string;
    readonly identityKey: string;
    /** The certificate request and its key: a repeated join sends the same. */
    readonly request: string;
    /** Facts of the enrolment: federation, site id, coordinator's address, plan key. */
    readonly enrolment: string;
  };
  readonly checkpoints: string;
  /** Which model of each run this site worked out last. */
  readonly models: string;
  /** One folder per run, of the trainer and with the secret that the run's draws begin from. */
  readonly runs: string;
  /** Updates that wait for their round to be committed. */
  readonly updates: string;
  /** What this site did and promised in attempts at rounds. Losing it would let a coordinator ask twice. */
  readonly attempts: string;
  /** Compiled programs; may be removed at any time. */
  readonly programs: string;
  /** What the source of images holds; may be removed at any time. */
  readonly dataIndex: string;
  /** Decoded tiles, slices and frames; may be removed at any time. */
  readonly tiles: string;
  /** Secret with which patients' and images' identifiers are hashed. */
  readonly nameKey: string;
  /** The audit log, a row of files that only grows; see docs/site.md. */
  readonly audit: string;
  /** Runs that asked to begin, and what people of this site decided. */
  readonly approvals: string;
  /** Every run that was ever accepted on this site's images; a loss of it would forget. */
  readonly runHistory: string;
  /** The roster that is followed, and one that waits for a person. */
  readonly governance: string;
  /** What private runs have spent; a loss of it would forget. */
  readonly privacy: string;
  readonly statusJson: string;
  readonly lock: string;
}

export function siteHome(root: string): SiteHome {
  const identity = join(root, "identity");
  return {
    root,
    siteYaml: join(root, "site.yaml"),
    policyYaml: join(root, "policy.yaml"),
    identity: {
      directory: identity,
      identityKey: join(identity, "identity-key.pem"),
      request: join(identity, "request.json"),
      enrolment: join(identity, "enrolment.json"),
    },
    checkpoints: join(root, "state", "checkpoints"),
    models: join(root, "state", "models"),
    runs: join(root, "state", "runs"),
    updates: join(root, "state", "updates"),
    attempts: join(root, "state", "attempts"),
    programs: join(root, "cache", "programs"),
    tiles: join(root, "cache", "tiles"),
    nameKey: join(root, "state", "name-key"),
    dataIndex: join(root, "cache", "data-index.sqlite"),
    audit: join(root, "audit"),
    approvals: join(root, "approvals"),
    runHistory: join(root, "run-history"),
    governance: join(root, "governance"),
    privacy: join(root, "privacy"),
    statusJson: join(root, "status.json"),
    lock: join(root, "agent.lock"),
  };
}
