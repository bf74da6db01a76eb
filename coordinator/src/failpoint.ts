/**
 * Named places where a test may kill this process, as if by `kill -9`. `CONSILIUM_FAILPOINT=name` stops at the first
 * pass, `name:3` at the third; `name:3:SIGTERM` asks it there to stop, as its administrator does. Without the variable
 * nothing happens.
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
const armed = setting === undefined ? undefined : parse(setting);
let passes = 0;

function parse(text: string) {
  // SIGKILL, so that nothing is flushed or closed on the way out.
  const [name, count = "1", signal = "SIGKILL"] = text.split(":");
  return { name, count: Number(count), signal };
}

export function failpoint(name: Failpoint): void {
  if (armed === undefined || name !== armed.name) return;
  passes++;
  if (passes === armed.count) process.kill(process.pid, armed.signal);
}
