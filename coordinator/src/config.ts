import { existsSync } from "node:fs";
import { join } from "node:path";
import { durationBetween } from "@consilium/shared/config/duration.js";
import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { z } from "zod";

/** 0 lets the system choose, for tests. */
const port = z.number().int().min(0).max(65535);
const host = z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, "is not a host name or address");

/** The coordinator's own settings. Secrets are never in here. */
export const coordinatorConfigSchema = z.strictObject({
  federation: z.string().regex(/^[a-z0-9-]{1,63}$/, "use lower-case letters, digits and hyphens, at most 63"),
  /** Where this machine listens. */
  listen: z.strictObject({
    host: host.default("0.0.0.0"),
    /** For sites, researchers and operators; every connection has a certificate. */
    port: port.default(7700),
    /** For invited sites that have no certificate yet. */
    enrolPort: port.default(7701),
  }),
  /** The name or address that sites dial; goes into invitations and is in the coordinator's certificate. */
  publicHost: host,
  metrics: z.strictObject({ host: host.default("127.0.0.1"), port: port.default(7790) }).prefault({}),
  /**
   * How long what the coordinator issues is valid. Sites and coordinator renew theirs by themselves after two thirds;
   * those of operators and researchers are renewed by hand.
   */
  certificates: z
    .strictObject({
      sites: durationBetween("10s", "366d").prefault("30d"),
      coordinator: durationBetween("10s", "366d").prefault("30d"),
      people: durationBetween("10s", "366d").prefault("30d"),
      /** Made anew at half its life. A coordinator that is not running for longer than this comes back with a new one. */
      revocationList: durationBetween("10s", "30d").prefault("1d"),
    })
    .prefault({}),
  retention: z
    .strictObject({
      /** Rounds of a run whose checkpoints are kept, besides its first; "all" keeps every one. */
      checkpoints: z.union([z.literal("all"), z.number().int().min(1)]).default("all"),
      /** Rounds of a run whose sums are kept until it is completed: a site that joins later works the model out from them. */
      aggregates: z.union([z.literal("all"), z.number().int().min(1)]).default("all"),
    })
    .prefault({}),
});

export type CoordinatorConfig = z.output<typeof coordinatorConfigSchema>;

/** Every path of a coordinator's home directory. */
export function homePaths(home: string) {
  return {
    config: join(home, "coordinator.yaml"),
    authority: join(home, "authority"),
    tls: join(home, "tls"),
    planKey: join(home, "plan-key.pem"),
    credentials: join(home, "credentials"),
    operator: join(home, "credentials", "operator"),
    researcher: join(home, "credentials", "researcher"),
    database: join(home, "coordinator.db"),
    lock: join(home, "coordinator.lock"),
    spool: join(home, "spool"),
    checkpoints: join(home, "checkpoints"),
    aggregates: join(home, "aggregates"),
  };
}

/** @throws ConsiliumError "config-missing" or "config-invalid" with line numbers. */
export function loadCoordinatorConfig(home: string): CoordinatorConfig {
  const { config } = homePaths(home);
  if (!existsSync(config)) {
    throw new ConsiliumError("config-missing", `${home} is not a coordinator's home: it has no coordinator.yaml`, {
      remedy: "name the home with --home or CONSILIUM_HOME; 'consilium coordinator init' makes one",
    });
  }
  return loadYaml(config, coordinatorConfigSchema);
}
