// When a token expires, as people write it: `12h`, `30d`, or its last day, `2027-06-01`.

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000 };
const DAY_MS = 86_400_000;
/** Beyond the year 9999 an instant has another form. */
const LAST_MS = Date.UTC(10_000, 0) - 1;

/** The instant at which it expires; undefined: the text is another one, or the instant has passed. */
export function expiryOf(text: string, nowMs: number): number | undefined {
  const [, count, unit = ""] = /^(\d{1,5})([hd])$/.exec(text) ?? [];
  const atMs = count === undefined ? lastInstantOf(text) : nowMs + Number(count) * (UNITS_MS[unit] ?? Number.NaN);
  return atMs > nowMs && atMs <= LAST_MS ? atMs : undefined;
}

/** Of a day in UTC, as `not-after` of a trusted key. NaN: the text is no day. */
function lastInstantOf(text: string): number {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return Number.NaN;
  const startMs = Date.parse(`${text}T00:00:00Z`);
  // Some days that do not exist, such as February 30, are read as others.
  const isDay = !Number.isNaN(startMs) && new Date(startMs).toISOString().startsWith(text);
  return isDay ? startMs + DAY_MS - 1 : Number.NaN;
}
