/** The hours in which a site takes part in rounds, in minutes after local midnight; `end` may lie on the next day. */
export type Hours = "always" | { readonly startMinute: number; readonly endMinute: number };

const pattern = /^(\d{2}):(\d{2})-(\d{2}):(\d{2})$/;

/** Parses "always" or "18:00-06:00"; returns what is wrong with the text as a string. */
export function parseHours(text: string): { readonly hours: Hours } | string {
  if (text === "always") return { hours: "always" };
  const match = pattern.exec(text);
  if (match === null) return `"${text}" is not "always" or a span such as "18:00-06:00"`;
  const [startHour, startMinute, endHour, endMinute] = match.slice(1).map(Number) as [number, number, number, number];
  if (startHour > 23 || endHour > 24 || startMinute > 59 || endMinute > 59) return `"${text}" has no such time of day`;
  const span = { startMinute: startHour * 60 + startMinute, endMinute: endHour * 60 + endMinute };
  if (span.endMinute > 1440) return `"${text}" has no such time of day`;
  if (span.startMinute === span.endMinute) return `"${text}" is an empty span; write "always" for the whole day`;
  return { hours: span };
}

/** Whether a local time lies in the hours; the start belongs to them, the end does not. */
export function withinHours(hours: Hours, at: Date): boolean {
  if (hours === "always") return true;
  const minute = at.getHours() * 60 + at.getMinutes();
  const { startMinute, endMinute } = hours;
  return startMinute < endMinute
    ? minute >= startMinute && minute < endMinute
    : minute >= startMinute || minute < endMinute;
}
