import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadYaml } from "@consilium/shared/config/load-yaml.js";
import { readText } from "@consilium/shared/durable-files.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { TlsBundle } from "@consilium/shared/identity/key-files.js";
import { z } from "zod";

/** Who this command speaks as, and to which coordinator. */
export interface Profile {
  readonly directory: string;
  /** The coordinator's main port. */
  readonly host: string;
  readonly port: number;
  readonly federation: string;
  readonly serverName: string | undefined;
  readonly tls: TlsBundle;
}

const addressPattern = /^(?:\[(?<ipv6>[0-9a-fA-F:.]+)\]|(?<host>[^\s:/[\]]+)):(?<port>\d{1,5})$/;

const profileSchema = z.strictObject({
  address: z.string().transform((text, context) => {
    const { ipv6, host = ipv6, port } = addressPattern.exec(text)?.groups ?? {};
    if (host !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return { host, port: Number(port) };
    context.addIssue("must be host:port, such as fl.example.org:7700");
    return z.NEVER;
  }),
  federation: z.string().min(1),
  /** The name in the coordinator's certificate, where the address is another one, as through a tunnel. */
  serverName: z.string().min(1).optional(),
});

/** Where a profile is looked for: named on the command line, in the environment, or the one that `coordinator init` wrote. */
export interface ProfilePlace {
  readonly option: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly userFolder: string;
}

/** The folder that the coordinator's state lies in unless a command names another. */
export function defaultHome(place: Pick<ProfilePlace, "env" | "userFolder">): string {
  return place.env["CONSILIUM_HOME"] ?? join(place.userFolder, ".consilium");
}

/** @throws ConsiliumError "config-missing" when there is no profile, "config-invalid" when it does not fit. */
export async function loadProfile(place: ProfilePlace): Promise<Profile> {
  const directory = findDirectory(place);
  const { address, federation, serverName } = loadYaml(join(directory, "profile.yaml"), profileSchema);
  const [caPem, certPem, keyPem] = await Promise.all(
    ["ca.pem", "cert.pem", "key.pem"].map((name) => readText(join(directory, name), incomplete)),
  );
  return { directory, ...address, federation, serverName, tls: { caPem: caPem!, certPem: certPem!, keyPem: keyPem! } };
}

const incomplete =
  "a folder of credentials holds profile.yaml, ca.pem, cert.pem and key.pem: copy it whole from where it was made";

function findDirectory({ option, env, userFolder }: ProfilePlace): string {
  const named = option ?? env["CONSILIUM_PROFILE"];
  if (named !== undefined && named !== "") return named;
  const own = join(defaultHome({ env, userFolder }), "credentials", "operator");
  if (existsSync(join(own, "profile.yaml"))) return own;
  throw new ConsiliumError("config-missing", `no profile given, and ${own} holds none`, {
    remedy:
      "name one with --profile DIR or CONSILIUM_PROFILE, or the coordinator's home with CONSILIUM_HOME; 'consilium coordinator init' writes the operator's",
  });
}
