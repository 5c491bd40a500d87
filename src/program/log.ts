// The log of the three programs: one line per event on stderr, as text for people or JSON for collectors.
import { pino } from "pino";
import { escapeInvisible } from "../base/invisible.ts";
import type { Log } from "../base/log.ts";
import { isStderrJournal, withPriority } from "./journal.ts";

export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ["text", "json"] as const;
type LogFormat = (typeof LOG_FORMATS)[number];

/**
 * Opens the log of this process on stderr. For the journal, each line carries its priority, and text lines have no time.
 * @param write receives whole lines; for tests
 */
export function openLog(
  level: LogLevel,
  format: LogFormat,
  write: (line: string) => void = (line) => void process.stderr.write(line),
  isJournal: boolean = isStderrJournal(),
): Log {
  const formed = (line: string): string => {
    const json = escapeInvisible(line);
    if (format === "json" && !isJournal) return json;
    const { time, ...entry } = JSON.parse(line);
    if (!isJournal) return `${time} ${textLine(entry)}`;
    return withPriority(entry.level, format === "json" ? json : textLine(entry));
  };
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    { write: (line: string) => write(formed(line)) },
  );
}

/** Formats an entry of pino as `info  message key=value`. */
function textLine({ level, msg, ...fields }: Readonly<Record<string, unknown>>): string {
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${textValue(value)}`);
  return `${oneLine(`${String(level).padEnd(5)} ${String(msg)}${rest.join("")}`)}\n`;
}

/**
 * A log line may quote text from the share, such as a host name. Its control characters, and those that reverse the writing
 * direction, must not reach a terminal.
 */
function oneLine(text: string): string {
  return escapeInvisible(text).replaceAll("\n", "\\u000a");
}

function textValue(value: unknown): string {
  if (typeof value === "object" && value !== null && "message" in value) return JSON.stringify(value.message);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[\w.:/@~-]+$/.test(text) ? text : JSON.stringify(text);
}
