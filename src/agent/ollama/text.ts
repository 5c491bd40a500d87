// Text of Ollama or a registry, made fit for a log line and a screen.
const MAX_TEXT_CHARS = 500;

/** On one line, bounded, and with digests cut to their first 12 digits. */
export function readable(text: string): string {
  return bounded(oneLine(text.replaceAll(/(sha256:[0-9a-f]{12})[0-9a-f]{52}/g, "$1")));
}

/** Without control characters. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
}

/** Readers of a state document skip a job with a longer text. */
export function bounded(text: string): string {
  return text.length > MAX_TEXT_CHARS ? `${text.slice(0, MAX_TEXT_CHARS)}...` : text;
}
