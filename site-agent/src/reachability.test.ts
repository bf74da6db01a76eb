import { ConsiliumError } from "@consilium/shared/errors.js";
import { type Logger, silentLogger } from "@consilium/shared/log.js";
import { describe, expect, it } from "vitest";
import { Reachability } from "./reachability.js";

const unreachable = new ConsiliumError("unreachable", "No connection established");
const settle = () => new Promise((resolve) => setImmediate(resolve));

function surroundings() {
  const said: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    info: (event) => said.push(event),
    warn: (event, fields) => said.push(`${event}: ${String(fields?.["reason"])}`),
  };
  const reasons: (string | undefined)[] = [];
  const lasting = /expired|revoked/;
  const reachability = new Reachability({
    address: "fl.example.org:7700",
    logger,
    explain: async () => {
      const text = reasons.shift();
      return text === undefined ? undefined : { text, lasting: lasting.test(text) };
    },
    onChange: () => {},
  });
  return { said, reasons, reachability };
}

describe("Reachability", () => {
  it("says once why the coordinator is away, once when the reason changes, and once when it is back", async () => {
    const { said, reasons, reachability } = surroundings();
    reasons.push("nothing listens", "nothing listens", "the certificate has expired");
    for (let tries = 0; tries < 3; tries++) {
      reachability.failed(unreachable);
      await settle();
    }
    expect(reachability.reason).toBe("the certificate has expired");
    expect(reachability.lasting).toBe(true);
    reachability.reached();
    expect(reachability.lasting).toBe(false);
    reachability.reached();
    expect(said).toEqual([
      "coordinator-unreachable: nothing listens",
      "coordinator-unreachable: the certificate has expired",
      "coordinator-reached",
    ]);
    expect(reachability.reason).toBeUndefined();
  });

  it("says nothing of an interruption that is over when it is looked into", async () => {
    const { said, reasons, reachability } = surroundings();
    reasons.push(undefined);
    reachability.failed(unreachable);
    await settle();
    expect(said).toEqual([]);
  });

  it("passes on what the coordinator itself said", () => {
    const { said, reachability } = surroundings();
    reachability.failed(
      new ConsiliumError("certificate-refused", "The certificate was revoked.", { remedy: "Join again." }),
    );
    expect(said).toEqual(["coordinator-unreachable: The certificate was revoked. Join again."]);
    expect(reachability.lasting).toBe(true);
  });
});
