import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { AbortedError, ConsiliumError, type ErrorCode } from "../errors.js";
import { fromStatus, toStatus } from "./status.js";

const received = (sent: { code: status; details: string; metadata: Metadata }): ServiceError =>
  Object.assign(new Error(`${sent.code} ${sent.details}`), sent);

describe("status", () => {
  it.each([
    "certificate-refused",
    "token-refused",
    "not-authorised",
    "stale",
    "dropped",
    "attempt-aborted",
    "update-invalid",
    "overloaded",
    "policy-refused",
  ] satisfies ErrorCode[])("carries %s across the wire with message and remedy", (code) => {
    const arrived = fromStatus(
      received(toStatus(new ConsiliumError(code, "Why – it is so.", { remedy: "Do “this”." }))),
    );
    expect(arrived).toMatchObject({ code, message: "Why – it is so.", remedy: "Do “this”." });
  });

  it.each([
    new Error("ENOENT: /srv/patients/list.csv"),
    new ConsiliumError("internal", "/srv/patients/list.csv"),
    new ConsiliumError("storage", "/srv/patients/list.csv cannot be written", { remedy: "chown /srv/patients" }),
    "/srv/patients/list.csv",
  ])("shows nothing of %s but a reference", (thrown) => {
    const sent = toStatus(thrown, "abc123");
    expect(sent.code).toBe(status.INTERNAL);
    expect(JSON.stringify([sent.details, sent.metadata.toJSON()])).not.toContain("patients");
    expect(fromStatus(received(sent))).toMatchObject({ code: "internal", message: expect.stringContaining("abc123") });
  });

  it("makes statuses from elsewhere readable", () => {
    const error = (code: status, details = "text") => fromStatus(received({ code, details, metadata: new Metadata() }));
    expect(error(status.UNAVAILABLE)).toMatchObject({
      code: "unreachable",
      remedy: expect.stringContaining("coordinator"),
    });
    const late = error(status.DEADLINE_EXCEEDED, "Deadline exceeded after 30.001s,LB pick: 0.002s");
    expect(late).toMatchObject({ code: "deadline", message: "The coordinator did not answer in time." });
    expect(error(status.UNIMPLEMENTED, "The server does not implement the method /consilium.v1.X/Y")).toMatchObject({
      ...{ code: "input-unsupported", message: "What listens on this port does not know this request." },
      remedy: expect.stringContaining("port for members"),
    });
    expect(error(status.UNKNOWN).code).toBe("internal");
    expect(error(status.ABORTED).code).toBe("internal");
  });

  it("takes no unknown code and no control characters from the other side", () => {
    const metadata = new Metadata();
    metadata.set("consilium-code", "constructor");
    const error = fromStatus(received({ code: status.UNAVAILABLE, details: "a\u001b[2Jb\u202ec", metadata }));
    expect(error).toMatchObject({ code: "unreachable", message: "a [2Jb c" });
  });

  it("sends text that gRPC can encode, however long or broken", () => {
    const sent = toStatus(new ConsiliumError("stale", `\ud800${"x".repeat(100_000)}`));
    expect(() => encodeURI(sent.details)).not.toThrow();
    expect(sent.details.length).toBeLessThanOrEqual(2000);
  });

  it("reports a cancelled call as such", () => {
    expect(toStatus(new AbortedError()).code).toBe(status.CANCELLED);
  });
});
