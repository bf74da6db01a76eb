import { parseYaml } from "@consilium/shared/config/load-yaml.js";
import { type RunConfig, runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";

/** The longest run file that is looked at. */
const maxConfigChars = 256 * 1024;

/** @throws ConsiliumError "config-invalid" naming every line that does not fit. */
export function parseRunFile(text: string): RunConfig {
  if (text.length > maxConfigChars) {
    throw new ConsiliumError(
      "config-invalid",
      `the run file has ${text.length} characters; at most ${maxConfigChars}`,
      {
        remedy: "send the YAML text of a run and nothing else",
      },
    );
  }
  return parseYaml(text, runConfigSchema, "run file");
}

/**
 * The configuration of a stored run, with the defaults that it was launched with.
 * @throws ConsiliumError "storage" when this program cannot read it.
 */
export function parseStoredConfig(runId: string, configJson: string): RunConfig {
  const result = runConfigSchema.safeParse(JSON.parse(configJson));
  if (result.success) return result.data;
  throw new ConsiliumError("storage", `the configuration of run ${runId} does not fit this version`, {
    remedy: "finish the run with the version of Consilium that launched it",
  });
}
