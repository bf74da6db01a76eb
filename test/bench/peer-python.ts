import { spawnSync } from "node:child_process";

/** What a measurement needs of a Python. */
interface PythonNeeds {
  /** Says who asks, such as "--against pytorch". */
  readonly asking: string;
  readonly module: string;
  /** What pip installs for it. */
  readonly packages: string;
}

/** The Python that `PYTHON` names. @throws Error with what to do when there is none or it lacks the module */
export function pythonWith(
  { asking, module, packages }: PythonNeeds,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const python = env["PYTHON"];
  const remedy = `set PYTHON to a Python with ${module}: python3 -m venv peers && peers/bin/pip install ${packages}`;
  if (python === undefined) throw new Error(`${asking} needs a Python with ${module}\n  → ${remedy}`);
  const found = spawnSync(python, ["-c", `import ${module}`], { encoding: "utf8" });
  if (found.status === 0) return python;
  const reason = (found.stderr || String(found.error)).trim().split("\n").at(-1);
  throw new Error(`${python} cannot import ${module}: ${reason}\n  → ${remedy}`);
}

export function pythonWithTorch(env: Readonly<Record<string, string | undefined>>): string {
  return pythonWith({ asking: "--against pytorch", module: "torch", packages: "torch numpy" }, env);
}
