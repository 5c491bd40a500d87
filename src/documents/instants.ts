// Times in documents, which may come from foreign texts: a client that parses them must not fail at one of them.

/** Of a field that cannot be null. */
const UNKNOWN = "1970-01-01T00:00:00Z";
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

export function isInstant(text: string): boolean {
  return RFC_3339.test(text) && !Number.isNaN(Date.parse(text));
}

/** As it is, or the beginning of 1970 for what is no time. */
export function instant(text: string): string {
  return isInstant(text) ? text : UNKNOWN;
}

/** As it is, or null for what is no time. */
export function instantOrNull(text: string | null): string | null {
  return text === null || isInstant(text) ? text : null;
}
