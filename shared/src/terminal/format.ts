/** Numbers, sizes and times as people read them in a terminal. */

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/** "512 B", "1.5 KiB", "84 MiB". */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** "0.4 s", "12 s", "3 min 05 s", "2 h 07 min", "4 d 03 h". */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 9950) return `${(Math.max(0, milliseconds) / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${twoDigits(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${twoDigits(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${twoDigits(hours % 24)} h`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** "2025-11-23 02:46:10Z"; "–" for 0, which stands for never. */
export function formatInstant(epochMs: number): string {
  if (epochMs === 0 || !Number.isFinite(epochMs)) return "–";
  return `${new Date(epochMs).toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** "3.2 s ago"; "never" for 0. */
export function formatAgo(epochMs: number, nowMs: number): string {
  return epochMs === 0 ? "never" : `${formatDuration(Math.max(0, nowMs - epochMs))} ago`;
}

/** A loss with four significant digits; "–" when there is none. */
export function formatLoss(loss: number | undefined): string {
  return loss === undefined || !Number.isFinite(loss) ? "–" : loss.toPrecision(4);
}

/** "██████░░░░  60 %"; a share outside 0 to 1 is brought inside. */
export function percentBar(share: number, width = 20): string {
  const clean = Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
  const filled = Math.round(clean * width);
  return `${"█".repeat(filled)}${"░".repeat(width - filled)} ${String(Math.floor(clean * 100)).padStart(3)} %`;
}

/** Time left when the rest goes as fast as the done part did; undefined before anything is done. */
export function timeLeftMs(progress: { done: number; total: number; elapsedMs: number }): number | undefined {
  const { done, total, elapsedMs } = progress;
  if (done <= 0) return undefined;
  return (elapsedMs / done) * Math.max(0, total - done);
}

const sparks = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/** The course of a series in at most `width` characters, each the mean of its stretch; values that are not finite are left out. */
export function sparkline(values: readonly number[], width = 40): string {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return "";
  const points = stretchMeans(finite, Math.min(width, finite.length));
  const low = Math.min(...points);
  const span = Math.max(...points) - low;
  return points.map((value) => sparks[span === 0 ? 3 : Math.round(((value - low) / span) * 7)]).join("");
}

function stretchMeans(values: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const from = Math.floor((index * values.length) / count);
    const to = Math.floor(((index + 1) * values.length) / count);
    const stretch = values.slice(from, to);
    return stretch.reduce((sum, value) => sum + value, 0) / stretch.length;
  });
}

// Text from another machine must not move this terminal's cursor or change its title.
const unprintable = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text with control characters replaced and line breaks kept. */
export function printable(text: string): string {
  return text.replaceAll("\t", "  ").replaceAll(unprintable, "�");
}

/** The printable text on one line of at most `width` characters, its end replaced by "…" when it does not fit. */
export function clipLine(text: string, width: number): string {
  const characters = Array.from(printable(text.replaceAll("\n", " ")));
  return characters.length <= width ? characters.join("") : `${characters.slice(0, Math.max(0, width - 1)).join("")}…`;
}

/** Characters in a text, counting one outside the basic plane as one. */
export function characterCount(text: string): number {
  return Array.from(text).length;
}
