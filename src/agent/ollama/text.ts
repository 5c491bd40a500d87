// Text of Ollama or a registry, made fit for a log line and a screen.
const MAX_TEXT_CHARS = 500;

/** On one line, bounded, and with digests cut to their first 12 digits. */
export function readable(text: string): string {
  const line = text
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .replaceAll(/(sha256:[0-9a-f]{12})[0-9a-f]{52}/g, "$1")
    .trim();
  return line.length > MAX_TEXT_CHARS ? `${line.slice(0, MAX_TEXT_CHARS)}...` : line;
}
