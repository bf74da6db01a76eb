import { z } from "zod";

const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const pattern = /^(\d{1,9})([smhd])$/;

/** Milliseconds of a text such as 90s, 15m, 12h or 30d; undefined for any other. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit] = pattern.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  return Number(digits) * unitMs[unit as keyof typeof unitMs];
}

/** A length of time in a configuration file, between two others; the value is in milliseconds. */
export function durationBetween(least: string, most: string) {
  const [leastMs, mostMs] = [parseDuration(least)!, parseDuration(most)!];
  return z.string().transform((text, context) => {
    const milliseconds = parseDuration(text);
    if (milliseconds !== undefined && milliseconds >= leastMs && milliseconds <= mostMs) return milliseconds;
    context.addIssue({
      code: "custom",
      message: `give a length of time between ${least} and ${most}, such as ${least}`,
    });
    return z.NEVER;
  });
}
