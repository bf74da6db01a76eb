import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { parseProxy } from "@consilium/shared/rpc/proxy.js";
import { z } from "zod";
import { type AuditSettings, auditSettingsSchema } from "./audit/site-log.js";
import type { CurationSettings } from "./data/curation/curation-settings.js";
import { type DataSettings, dataSettingsSchema } from "./data/data-settings.js";
import { deviceChoices } from "./engine/devices/device.js";
import { tensorflowDirectory } from "./engine/devices/tensorflow-package.js";
import type { SiteHome } from "./home.js";
import { type Hours, parseHours } from "./hours.js";

/** `site.yaml`: how this agent works on this machine. What may run and leave is in the policy file instead. */

const loopback = new Set(["127.0.0.1", "::1", "localhost"]);

const {
  cacheBytes: _cacheBytes,
  nameKey: _nameKey,
  tileCache: _tileCache,
  indexPath: _indexPath,
  maxPixels: _maxPixels,
  maxFileBytes: _maxFileBytes,
  ...dataShape
} = dataSettingsSchema.shape;

/** Relative paths start at the agent's home; that of the labels file at the folder of images. */
const data = z
  .strictObject({
    ...dataShape,
    /** Memory for decoded images, in MiB. */
    cacheMiB: z.number().int().min(0).default(1024),
    /** Disk for decoded tiles, slices and frames of DICOM, in MiB; 0: none. */
    tileCacheMiB: z.number().int().min(0).default(4096),
  })
  .superRefine(({ source, dicomweb }, context) => {
    if (source !== "dicomweb" || dicomweb !== undefined) return;
    context.addIssue({ code: "custom", path: ["dicomweb"], message: "a source of kind dicomweb needs its `url`" });
  });

const hours = z
  .string()
  .default("always")
  .superRefine((text, context) => {
    const parsed = parseHours(text);
    if (typeof parsed === "string") context.addIssue({ code: "custom", message: parsed });
  });

const trainer = z.strictObject({
  /** Processor threads for training; 0: one per core. */
  threads: z.number().int().min(0).max(1024).default(0),
  /** What to train on; auto takes the first of cuda, webgpu and cpu that works here. */
  device: z.enum(deviceChoices).default("auto"),
  /** Of products and activations: mixed is float16, with weights in float32; auto takes it where the device gains. */
  precision: z.enum(["auto", "float32", "mixed"]).default("auto"),
});

const metrics = z
  .strictObject({
    host: z.string().min(1).default("127.0.0.1"),
    /** 0 picks a free port. */
    port: z.number().int().min(0).max(65_535).default(9465),
    /** Metrics hold this site's own loss and image counts, so they stay on the machine unless this is true. */
    allowRemote: z.boolean().default(false),
  })
  .superRefine(({ host, allowRemote }, context) => {
    if (loopback.has(host) || allowRemote) return;
    context.addIssue({
      code: "custom",
      path: ["host"],
      message: `${host} is reachable from other machines; use 127.0.0.1 or set metrics.allowRemote: true`,
    });
  });

/** How connections to the coordinator leave this network. */
export const waySchema = z
  .strictObject({
    /** The URL of an HTTP proxy; environment: what the usual variables say; none: straight, whatever they say. */
    proxy: z.string().min(1).default("environment"),
    /** File with `user:password`; relative paths start at the agent's home. */
    proxyCredentials: z.string().min(1).optional(),
  })
  .superRefine(({ proxy }, context) => {
    if (proxy === "environment" || proxy === "none") return;
    const refuse = (message: string) => context.addIssue({ code: "custom", path: ["proxy"], message });
    try {
      const { credentials } = parseProxy(proxy, "this");
      if (credentials !== undefined)
        refuse("passwords do not belong here; put user:password into a file, proxyCredentials");
    } catch (thrown) {
      const { message, remedy } = asConsiliumError(thrown);
      refuse(`${message}; ${remedy}, or as environment or none`);
    }
  });

/** A coordinator that restarts gives its sites 30 s to come back before it goes on without them. */
const reconnect = z.strictObject({
  initialMs: z.number().int().positive().default(1000),
  maxMs: z.number().int().positive().default(15_000),
});

export const siteConfigSchema = z.strictObject({
  data,
  schedule: z.strictObject({ hours }).prefault({}),
  trainer: trainer.prefault({}),
  metrics: metrics.prefault({}),
  coordinator: waySchema.prefault({}),
  /** Relative paths start at the agent's home. */
  policy: z.string().min(1).default("policy.yaml"),
  logLevel: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  reconnect: reconnect.prefault({}),
  audit: auditSettingsSchema.prefault({}),
});

export type SiteConfig = z.output<typeof siteConfigSchema>;

/**
 * Reads `site.yaml`.
 * @throws ConsiliumError "config-missing" or "config-invalid", naming every bad line.
 */
export function loadSiteConfig(home: SiteHome): SiteConfig {
  return loadYaml(home.siteYaml, siteConfigSchema);
}

/** How the audit log is kept: as site.yaml says, or by default where there is none yet. */
export function auditSettings(home: SiteHome): AuditSettings {
  return existsSync(home.siteYaml) ? loadSiteConfig(home).audit : auditSettingsSchema.parse({});
}

/** Path of the policy file. */
export function policyPath(home: SiteHome, config: SiteConfig): string {
  return resolve(home.root, config.policy);
}

/** The image folder's settings as the data pipeline takes them, paths made absolute. */
export function dataSettings(home: SiteHome, { data }: SiteConfig): DataSettings {
  const { cacheMiB, tileCacheMiB, path: folder, labels: labelsFile, curation, ...rest } = data;
  const absolute = resolve(home.root, folder);
  return dataSettingsSchema.parse({
    ...rest,
    path: absolute,
    cacheBytes: cacheMiB * 1024 ** 2,
    indexPath: home.dataIndex,
    nameKey: nameKeyOf(home),
    ...(tileCacheMiB === 0 ? {} : { tileCache: { directory: home.tiles, limitBytes: tileCacheMiB * 1024 ** 2 } }),
    ...(labelsFile === undefined ? {} : { labels: resolve(absolute, labelsFile) }),
    ...(curation === undefined ? {} : { curation: withAbsolutePaths(home, curation) }),
  });
}

function withAbsolutePaths({ root }: SiteHome, { clusters, ...rest }: CurationSettings): CurationSettings {
  return clusters === undefined ? rest : { ...rest, clusters: resolve(root, clusters) };
}

/** The site's secret for names, made when it is first needed. */
function nameKeyOf({ nameKey }: SiteHome): string {
  try {
    return readFileSync(nameKey, "utf8").trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
  }
  mkdirSync(dirname(nameKey), { recursive: true, mode: 0o700 });
  try {
    // Two commands may be the first at once: the one that comes later takes what the earlier one wrote.
    writeFileSync(nameKey, `${randomBytes(32).toString("hex")}\n`, { flag: "wx", mode: 0o600 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
  }
  return readFileSync(nameKey, "utf8").trim();
}

/** Settings for a folder that no site.yaml names, with every default. */
export function folderSettings(path: string): DataSettings {
  return dataSettingsSchema.parse({ path: resolve(path) });
}

/** What the trainer's engine is asked for. */
export function engineSettings(home: SiteHome, { trainer: { device, precision } }: SiteConfig) {
  return { device, precision, cacheDirectory: home.programs, tensorflowDirectory: tensorflowDirectory(home.root) };
}

export function scheduleHours({ schedule }: SiteConfig): Hours {
  const parsed = parseHours(schedule.hours);
  if (typeof parsed === "string") throw new ConsiliumError("config-invalid", `schedule.hours: ${parsed}`);
  return parsed.hours;
}
