import { describe, expect, it } from "vitest";
import { ConsiliumError } from "./errors.js";
import { crashFields } from "./last-words.js";

describe("crashFields", () => {
  it("tells kind, code and place, and nothing of the text", () => {
    const full = Object.assign(new Error("ENOSPC: no space left, write '/srv/images/anna.dcm'"), { code: "ENOSPC" });
    full.stack = `Error: ${full.message}\n    at write (file:///opt/consilium/dist/store/upload-spool.js:120:9)\n    at x`;
    expect(crashFields(full)).toEqual({ error: "Error", code: "ENOSPC", where: "upload-spool.js:120" });
    const own = new ConsiliumError("storage", "cannot write /srv/images/anna.dcm");
    expect(crashFields(own)).toMatchObject({ error: "ConsiliumError", code: "storage" });
    expect(JSON.stringify(crashFields(own))).not.toContain("anna");
  });

  it.each([["text with a secret"], [undefined], [{ token: "secret" }], [null]])(
    "takes %j, which is no error",
    (thrown) => {
      expect(crashFields(thrown)).toEqual({ error: typeof thrown });
    },
  );

  it("does not repeat what an error calls itself", () => {
    const strange = Object.assign(new Error(""), { name: "/srv/anna", code: "/srv/anna", stack: "at /srv/anna" });
    expect(crashFields(strange)).toEqual({ error: "Error", code: undefined, where: undefined });
  });
});
