import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@consilium/shared/clock.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { initCoordinator } from "../init.js";
import { runCommandLine } from "./program.js";
import { testSurroundings } from "./test-surroundings.js";

const directory = mkdtempSync(join(tmpdir(), "credentials-commands-"));
const home = join(directory, "home");

beforeAll(() => initCoordinator({ home, federation: "demo" }), 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function credentials(...parameters: string[]) {
  const test = testSurroundings({ clock: systemClock });
  const all = ["coordinator", "credentials", ...parameters, "--home", home];
  const code = await runCommandLine(all, test.surroundings, "0");
  return { code, stdout: test.stdout(), stderr: test.stderr() };
}

it("issues, lists, renews and revokes, and says what to do with the folder", async () => {
  const out = join(directory, "ada");
  const issued = await credentials("issue", "ada", "--role", "researcher", "--out", out);
  expect(issued.stdout).toMatch(new RegExp(`^credentials of researcher ada: ${out}\nhand the folder over .* until 20`));
  const listed = await credentials("list");
  expect(listed.stdout).toMatch(/^ID +ROLE +STATUS +UNTIL +CERTIFICATES\nada +researcher +valid +20\S+ .* 1\n/);
  expect((await credentials("renew", "ada", "--out", out)).stdout).toMatch(
    `credentials of researcher ada: ${out}, good until`,
  );
  const revoked = await credentials("revoke", "ada", "--json");
  expect(JSON.parse(revoked.stdout)).toMatchObject({ id: "ada", role: "researcher", status: "revoked" });
  const { people } = JSON.parse((await credentials("list", "--json")).stdout) as { people: { id: string }[] };
  expect(people.map(({ id }) => id)).toEqual(["ada", "operator", "researcher"]);
}, 30_000);

it("keeps the last operator, and says how to let go of it", async () => {
  const { code, stderr } = await credentials("revoke", "operator");
  expect(stderr).toMatch(/^error: operator is the only operator .*\n {2}→ make some for another one first/);
  expect(code).toBe(6);
});

it.each([
  [["issue", "ada"], 2, "--role"],
  [["issue", "ada", "--role", "site"], 2, "Allowed choices are operator, researcher"],
  [["issue", "Ada", "--role", "researcher"], 2, "lower-case letters"],
  [["renew", "--out", "/nowhere"], 2, "name the id too"],
  [["revoke", "nobody"], 4, "'consilium coordinator credentials list' shows everybody"],
])("%j ends with %i", async (parameters, expected, text) => {
  const { code, stdout, stderr } = await credentials(...parameters);
  expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
  expect(stderr).toContain(text);
});
