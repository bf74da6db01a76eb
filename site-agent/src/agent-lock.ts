import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";

/**
 * Keeps a second agent out of the same home: two would advertise two sets of keys as one site. The lock holds the
 * process id and, where the system tells it, when that process began, since ids are used again.
 * @returns what gives the lock back
 * @throws ConsiliumError "already-exists" while another agent runs here.
 */
export function lockHome(path: string): () => void {
  mkdirSync(dirname(path), { recursive: true });
  const mine = `${process.pid} ${startOf(process.pid)}`;
  for (let tries = 0; ; tries++) {
    if (create(path, mine)) return () => rmSync(path, { force: true });
    if (tries > 1 || lockHolder(path) !== undefined) throw inUse(path);
    rmSync(path, { force: true });
  }
}

/** Process id of the agent that runs in this home; undefined when none does. */
export function lockHolder(path: string): number | undefined {
  const [pidText = "", start = ""] = read(path).split(" ");
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  return startOf(pid) === start ? pid : undefined;
}

function create(path: string, text: string): boolean {
  try {
    const file = openSync(path, "wx", 0o644);
    writeSync(file, text);
    closeSync(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Start time in clock ticks since boot, field 22 of /proc/<pid>/stat; empty where there is no /proc. */
function startOf(pid: number): string {
  const stat = read(`/proc/${pid}/stat`);
  const afterName = stat.slice(stat.lastIndexOf(")") + 2);
  return afterName.split(" ")[19] ?? "";
}

function inUse(path: string): ConsiliumError {
  return new ConsiliumError("already-exists", `another agent runs in this home (${path})`, {
    remedy: "stop it first, or name another folder with --home",
  });
}
