import { existsSync, readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { environmentProxy, type HttpProxy, parseProxy } from "@consilium/shared/rpc/proxy.js";
import { loadSiteConfig, type SiteConfig } from "./config.js";
import type { SiteHome } from "./home.js";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Part of site.yaml that says how connections to the coordinator leave this network. */
export type WaySettings = SiteConfig["coordinator"];

interface ProxyOptions {
  readonly home: SiteHome;
  readonly environment: Environment;
  /** Of the coordinator. */
  readonly host: string;
}

/**
 * The proxy that every connection to the coordinator takes, as site.yaml says; undefined goes straight. Without
 * settings, as before the site has joined, the environment decides.
 * @throws ConsiliumError "config-missing" or "config-invalid", which never shows credentials
 */
export function coordinatorProxy(options: ProxyOptions, settings = settingsOf(options.home)): HttpProxy | undefined {
  const { home, environment, host } = options;
  const proxy = namedProxy(settings.proxy, environment, host);
  if (proxy === undefined) return undefined;
  if (isIP(host) === 6) {
    throw new ConsiliumError("config-invalid", `no proxy can be asked for the coordinator's address ${host}`, {
      remedy: "let the invitation name the coordinator by a host name, or set coordinator.proxy: none in site.yaml",
    });
  }
  const { proxyCredentials } = settings;
  if (proxyCredentials === undefined) return proxy;
  return { ...proxy, credentials: readCredentials(resolve(home.root, proxyCredentials)) };
}

function settingsOf(home: SiteHome): WaySettings {
  return existsSync(home.siteYaml) ? loadSiteConfig(home).coordinator : { proxy: "environment" };
}

function namedProxy(setting: string, environment: Environment, host: string): HttpProxy | undefined {
  if (setting === "none") return undefined;
  return setting === "environment" ? environmentProxy(environment, host) : parseProxy(setting, "coordinator.proxy");
}

function readCredentials(path: string): string {
  const text = readPrivate(path).replace(/\r?\n$/, "");
  if (/^[^:\p{Cc}]+:\P{Cc}*$/u.test(text)) return text;
  throw new ConsiliumError("config-invalid", `${path}: this is not one line of user:password`, {
    remedy: "write the proxy's user and password into it, with a colon between",
  });
}

function readPrivate(path: string): string {
  try {
    if ((statSync(path).mode & 0o077) === 0) return readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConsiliumError("config-missing", `${path}: the proxy's credentials cannot be read (${code})`, {
      remedy: "check coordinator.proxyCredentials in site.yaml and the file's permissions",
      cause,
    });
  }
  throw new ConsiliumError("config-invalid", `${path}: other accounts can read the proxy's password`, {
    remedy: `chmod 600 ${path}`,
  });
}
