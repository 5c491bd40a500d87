// Times and counts as text. Not by Intl: what a browser makes for it takes longer than drawing a page.
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** `1 Jun 2099, 23:59:59`, in the zone of the browser. */
export function localTime(at: string): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "unknown";
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, "0"));
  return `${localDay(at)}, ${clock.join(":")}`;
}

/** `1 Jun 2099` */
export function localDay(at: string): string {
  const time = new Date(at);
  return `${time.getDate()} ${MONTHS[time.getMonth()]} ${time.getFullYear()}`;
}

/** `1,000` */
export function countText(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}
