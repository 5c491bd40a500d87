// Times and counts as text. What the browser needs for it is made once, when it is needed: that takes longer than a hundred texts.
function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

const MOMENT = once(() => new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" }));
const DAY = once(() => new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" }));

/** `1 Jun 2099, 23:59:59`, in the zone of the browser. */
export function localTime(at: string): string {
  const ms = Date.parse(at);
  return Number.isNaN(ms) ? "unknown" : MOMENT().format(ms);
}

/** `1 Jun 2099` */
export function localDay(at: string): string {
  return DAY().format(Date.parse(at));
}

/** `1,000`. `toLocaleString()` takes a hundred times as long. */
export function countText(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}
