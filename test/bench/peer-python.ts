import { spawnSync } from "node:child_process";

/** The Python that `PYTHON` names. @throws Error with what to do when it has no PyTorch */
export function pythonWithTorch(env: Readonly<Record<string, string | undefined>>): string {
  const python = env["PYTHON"];
  const remedy = "set PYTHON to a Python with torch: python3 -m venv peers && peers/bin/pip install torch numpy";
  if (python === undefined) throw new Error(`--against pytorch needs PyTorch\n  → ${remedy}`);
  const found = spawnSync(python, ["-c", "import torch; print(torch.__version__)"], { encoding: "utf8" });
  if (found.status === 0) return python;
  throw new Error(
    `${python} cannot import torch: ${(found.stderr || String(found.error)).trim().split("\n").at(-1)}\n  → ${remedy}`,
  );
}
