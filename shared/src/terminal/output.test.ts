import { describe, expect, it } from "vitest";
import { AbortedError, ConsiliumError } from "../errors.js";
import { exitCodeFor, Output, parserError } from "./output.js";

function open(json: boolean) {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const output = new Output({
    json,
    stdout: { write: (text: string) => stdout.push(text) },
    stderr: { write: (text: string) => stderr.push(text) },
  });
  return { output, stdout, stderr };
}

describe("Output", () => {
  it("prints lines for people and no document", () => {
    const { output, stdout } = open(false);
    output.result({ a: 1 }, () => ["first", "second"]);
    output.document({ b: 2 });
    expect(stdout).toEqual(["first\n", "second\n"]);
  });

  it("prints one document for scripts and no line", () => {
    const { output, stdout, stderr } = open(true);
    output.result({ a: 1 }, () => "first");
    output.line("second");
    output.note("on the way");
    expect(stdout).toEqual(['{"a":1}\n']);
    expect(stderr).toEqual(["on the way\n"]);
  });

  it("says an error and its remedy on standard error", () => {
    const { output, stdout, stderr } = open(true);
    output.error(
      new ConsiliumError("config-invalid", "run.yaml:3: unknown key 'x'\nrun.yaml:7: bad", { remedy: "correct it" }),
    );
    expect(stdout).toEqual([]);
    expect(stderr).toEqual(["error: run.yaml:3: unknown key 'x'\n", "       run.yaml:7: bad\n", "  → correct it\n"]);
  });
});

function commanderError(code: string, exitCode: number): Error {
  return Object.assign(new Error("said already"), { code, exitCode });
}

describe("exitCodeFor", () => {
  it.each([
    [new ConsiliumError("config-invalid", ""), 2],
    [new ConsiliumError("config-missing", ""), 2],
    [new ConsiliumError("not-authorised", ""), 3],
    [new ConsiliumError("certificate-refused", ""), 3],
    [new ConsiliumError("not-found", ""), 4],
    [new ConsiliumError("unreachable", ""), 5],
    [new ConsiliumError("policy-refused", ""), 6],
    [new ConsiliumError("internal", ""), 1],
    [new AbortedError(), 130],
    [new Error("defect"), 1],
    ["text", 1],
    [commanderError("commander.unknownOption", 1), 2],
    [commanderError("commander.helpDisplayed", 0), 0],
  ])("%o ends with %d", (error, code) => expect(exitCodeFor(error)).toBe(code));

  it("does not take other coded errors for a parser's", () => {
    expect(parserError(Object.assign(new Error("no file"), { code: "ENOENT", exitCode: 1 }))).toBeUndefined();
  });
});
