import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { createProgram, runCommandLine } from "./program.js";
import { testSurroundings } from "./test-surroundings.js";

function leaves(command: Command, path: string[] = []): string[][] {
  if (command.commands.length === 0) return [path];
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
}

const commands = leaves(createProgram(testSurroundings().surroundings, "1.2.3"));

async function run(...parameters: string[]) {
  const test = testSurroundings();
  const exitCode = await runCommandLine(parameters, test.surroundings, "1.2.3");
  return { exitCode, stdout: test.stdout(), stderr: test.stderr() };
}

describe("consilium", () => {
  it("has these commands", () => {
    expect(commands.map((path) => path.join(" "))).toEqual([
      "coordinator init",
      "coordinator serve",
      "coordinator ca rotate",
      ...["issue", "list", "renew", "revoke"].map((name) => `coordinator credentials ${name}`),
      "site invite",
      "site list",
      "site revoke",
      ...["roster key", "roster init", "roster add", "roster replace", "roster remove", "roster sign", "roster show"],
      ...["roster publish", "roster fetch"],
      "run launch",
      "run warm-start-report",
      "run list",
      "run show",
      "run watch",
      "run stop",
      "run resume",
      "run export",
      "privacy",
    ]);
  });

  it.each(commands.map((path) => path.join(" ")))("%s --help explains itself with an example", async (path) => {
    const { exitCode, stdout } = await run(...path.split(" "), "--help");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/Examples?:\n {2}\$ consilium /);
    expect(stdout).toContain("--json");
    expect(stdout).toMatchSnapshot();
  });

  it.each(commands.map((path) => path.join(" ")))("%s ends with 2 for an option it does not know", async (path) => {
    const { exitCode, stdout, stderr } = await run(...path.split(" "), "--no-such-option");
    expect(exitCode).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/--no-such-option|required option/);
  });

  it("documents its exit codes", async () => {
    const { exitCode, stdout } = await run("--help");
    expect(exitCode).toBe(0);
    expect(stdout).toMatchSnapshot();
  });

  it("tells its version", async () =>
    expect(await run("--version")).toEqual({ exitCode: 0, stdout: "1.2.3\n", stderr: "" }));

  it.each([
    [["run", "lunch"]],
    [["run"]],
    [["nothing"]],
    [["run", "show"]],
    [["run", "list", "extra"]],
    [["site", "invite", "Hospital A"]],
    [["site", "invite", "a", "--valid-hours", "0"]],
    [["site", "invite", "a", "--valid-hours", "73"]],
    [["coordinator", "init"]],
    [["coordinator", "init", "--federation", "skin", "--port", "70000"]],
    [["coordinator", "init", "--federation", "skin", "--host", "fl.example.org:7700"]],
    [["coordinator", "init", "--federation", "Big Skin"]],
    [["run", "export", "r"]],
    [["coordinator", "serve", "--log-level", "loud"]],
  ])("%j is wrong usage", async (parameters) => {
    const { exitCode, stdout, stderr } = await run(...parameters);
    expect(exitCode).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).not.toBe("");
  });

  it("says where a profile is looked for", async () => {
    const { exitCode, stderr } = await run("run", "list");
    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      "error: no profile given, and /nowhere/.consilium/credentials/operator holds none\n" +
        "  → name one with --profile DIR or CONSILIUM_PROFILE, or the coordinator's home with CONSILIUM_HOME; " +
        "'consilium coordinator init' writes the operator's\n",
    );
  });
});
