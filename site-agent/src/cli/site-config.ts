import { existsSync } from "node:fs";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { loadSiteConfig, type SiteConfig } from "../config.js";
import type { SiteHome } from "../home.js";

/**
 * The site.yaml of a home, which `join` writes.
 * @throws ConsiliumError "config-missing" where no site has joined, "config-invalid" naming every bad line.
 */
export function joinedConfig(home: SiteHome): SiteConfig {
  if (existsSync(home.siteYaml)) return loadSiteConfig(home);
  throw new ConsiliumError("config-missing", `${home.siteYaml} is not there: no site has joined in this home`, {
    remedy: "join with 'consilium-agent join <invitation>', or name the site's folder with --home",
  });
}
