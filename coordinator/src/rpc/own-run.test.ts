import type { PeerIdentity, Role } from "@consilium/shared/identity/peer-identity.js";
import { describe, expect, it } from "vitest";
import type { RunRow } from "../store/run-store.js";
import { requireOwnRun } from "./own-run.js";

const identity = (role: Role, id: string, federation = "demo"): PeerIdentity => ({ federation, role, id });

const run = (launchedBy: string): RunRow => ({
  ...{ runId: "derm-1", requestId: "r", name: "derm", configJson: "{}", status: "running", reason: "" },
  ...{ checkpointDigest: "", initialDigest: "", createdAtMs: 0, updatedAtMs: 0, launchedBy },
});

describe("requireOwnRun()", () => {
  it("lets in who launched the run, and every operator", () => {
    const ofAda = run("fed://demo/researcher/ada");
    expect(() => requireOwnRun(identity("researcher", "ada"), ofAda)).not.toThrow();
    expect(() => requireOwnRun(identity("operator", "ben"), ofAda)).not.toThrow();
    expect(() => requireOwnRun(identity("operator", "ben"), run(""))).not.toThrow();
  });

  it.each([
    ["another researcher", identity("researcher", "ben"), "fed://demo/researcher/ada"],
    [
      "a researcher with the id of the operator who launched it",
      identity("researcher", "ada"),
      "fed://demo/operator/ada",
    ],
    ["a researcher where nobody knows who launched it", identity("researcher", "ada"), ""],
  ])("refuses %s, and says whom to ask", (_, caller, launchedBy) => {
    expect(() => requireOwnRun(caller, run(launchedBy))).toThrow(
      expect.objectContaining({ code: "not-authorised", remedy: expect.stringContaining("an operator") }),
    );
  });

  it("leaves a run that is not there to who looks it up", () => {
    expect(() => requireOwnRun(identity("researcher", "ada"), undefined)).not.toThrow();
  });
});
