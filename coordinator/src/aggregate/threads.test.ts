import { ConsiliumError } from "@consilium/shared/errors.js";
import { describe, expect, it } from "vitest";
import { UnmaskFailedError } from "../secagg/reconstruct.js";
import { reportedError, reportFailure } from "./threads.js";

const cross = (error: ConsiliumError) => reportedError(structuredClone(reportFailure(error)));

describe("failures of a thread", () => {
  it("carry code, message and remedy", () => {
    const error = new ConsiliumError("storage", "no space", { remedy: "make some" });
    expect(cross(error)).toMatchObject({ code: "storage", message: "no space", remedy: "make some" });
  });

  it("carry the suspects of a failed unmasking", () => {
    const error = cross(new UnmaskFailedError("too few shares", ["a"]));
    expect(error).toBeInstanceOf(UnmaskFailedError);
    expect(error).toMatchObject({ code: "share-invalid", suspects: ["a"] });
  });
});
