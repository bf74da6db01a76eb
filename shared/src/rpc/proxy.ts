import { isIP } from "node:net";
import { ConsiliumError } from "../errors.js";

/** An HTTP proxy that is asked, by CONNECT, for a way to the coordinator. TLS goes through it from end to end. */
export interface HttpProxy {
  readonly host: string;
  readonly port: number;
  /** `user:password`. Never logged. */
  readonly credentials?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that name a proxy, the most particular first, and those that name exceptions: as gRPC itself reads them. */
const proxyVariables = ["grpc_proxy", "https_proxy", "http_proxy"];
const exceptionVariables = ["no_grpc_proxy", "no_proxy"];

/** "proxy.hospital.example:3128", for messages: without the credentials. */
export function proxyAddress({ host, port }: Pick<HttpProxy, "host" | "port">): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Reads `http://[user:password@]host[:port]`; without a port it is 80. `source` names it in errors, which never show
 * the text itself: it may hold a password.
 * @throws ConsiliumError "config-invalid"
 */
export function parseProxy(text: string, source: string): HttpProxy {
  const url = urlOf(text);
  if (url === undefined || url.protocol !== "http:" || url.hostname === "" || !["", "/"].includes(url.pathname)) {
    throw new ConsiliumError("config-invalid", `${source} is not the address of an HTTP proxy`, {
      remedy: "write it as http://proxy.hospital.example:3128; TLS to the proxy itself is not supported",
    });
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? 80 : Number(url.port);
  if (url.username === "") return { host, port };
  return { host, port, credentials: decodeURIComponent(`${url.username}:${url.password}`) };
}

/** The proxy that the environment names for this host, if any. @throws ConsiliumError "config-invalid" */
export function environmentProxy(environment: Environment, host: string): HttpProxy | undefined {
  const name = proxyVariables.find((variable) => environment[variable]);
  if (name === undefined || isException(environment, host)) return undefined;
  return parseProxy(environment[name]!, name);
}

/** Names count with those below them. */
function isException(environment: Environment, host: string): boolean {
  const name = exceptionVariables.find((variable) => environment[variable]);
  const exceptions = name === undefined ? [] : environment[name]!.split(",").map((entry) => entry.trim());
  return exceptions.some((entry) => {
    const domain = entry.replace(/^\*?\./, "");
    return domain !== "" && (entry === "*" || host === domain || host.endsWith(`.${domain}`));
  });
}

function urlOf(text: string): URL | undefined {
  try {
    const url = new URL(text);
    decodeURIComponent(`${url.username}:${url.password}`);
    return url;
  } catch {
    return undefined;
  }
}
