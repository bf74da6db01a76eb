import { ConsiliumError } from "@consilium/shared/errors.js";
import { describe, expect, it } from "vitest";
import { UnmaskFailedError } from "../secagg/reconstruct.js";
import { reportFailure, unwrapReport } from "./finish-report.js";

const cross = (error: ConsiliumError) => () => unwrapReport(structuredClone(reportFailure(error)));

describe("finish reports", () => {
  it("carry code, message and remedy across a thread", () => {
    const error = new ConsiliumError("storage", "no space", { remedy: "make some" });
    expect(cross(error)).toThrow(
      expect.objectContaining({ code: "storage", message: "no space", remedy: "make some" }),
    );
  });

  it("carry the suspects of a failed unmasking", () => {
    const thrown = expect.objectContaining({ code: "share-invalid", suspects: ["a"] });
    expect(cross(new UnmaskFailedError("too few shares", ["a"]))).toThrow(thrown);
    expect(cross(new UnmaskFailedError("too few shares", ["a"]))).toThrow(UnmaskFailedError);
  });
});
