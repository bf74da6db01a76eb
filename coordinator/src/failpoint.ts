/**
 * Named places where a test may kill this process, as if by `kill -9`. `CONSILIUM_FAILPOINT=name` stops at the first
 * pass, `name:3` at the third. Without the variable nothing happens.
 */
export type Failpoint =
  | "plan/before-persist"
  | "plan/after-persist"
  | `${"advertise" | "share" | "upload" | "confirm" | "unmask"}/${"before-persist" | "after-persist"}`
  | `${"advertise" | "share" | "upload" | "confirm" | "unmask"}/closed`
  | "upload/middle"
  | "upload/before-rename"
  | "upload/file-durable"
  | "aggregate/started"
  | "checkpoint/durable"
  | "commit/before"
  | "commit/after";

const setting = process.env["CONSILIUM_FAILPOINT"];
const [armed, nth] = setting === undefined ? [undefined, 1] : parse(setting);
let passes = 0;

function parse(text: string): [string, number] {
  const [name = "", count = "1"] = text.split(":");
  return [name, Number(count)];
}

export function failpoint(name: Failpoint): void {
  if (name !== armed) return;
  passes++;
  // SIGKILL, so that nothing is flushed or closed on the way out.
  if (passes === nth) process.kill(process.pid, "SIGKILL");
}
