// An answer reduced to the part that two servers of one API must agree on: status, content type, the shape of its JSON, error texts.
import { z } from "zod";

export interface Sent {
  readonly method: string;
  readonly path: string;
  /** Text as it is; anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  /** Of a 405. */
  readonly allow: string;
  /** The names and types of all fields; a stream has one entry for each kind of line. */
  readonly shape: unknown;
  /** Of an error, in whichever form it comes; of plain text all of it. */
  readonly text: string;
}

const Failure = z.looseObject({ error: z.union([z.string(), z.looseObject({ message: z.string() })]) });
const Line = z.looseObject({ status: z.string().optional() });
const NDJSON = "application/x-ndjson";

/** Sends a request, and follows no redirect. */
export async function ask(
  baseUrl: string,
  sent: Sent,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const { method, path, body } = sent;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(baseUrl + path, {
    method,
    redirect: "manual",
    headers: { ...headers, ...sent.headers },
    ...(text === undefined ? {} : { body: text }),
  });
  const { status } = response;
  const type = response.headers.get("content-type") ?? "";
  return { ...answerOf(status, type, await response.text()), allow: status === 405 ? allowOf(response) : "" };
}

/** Without the charset, which Go writes only here and there: no client looks at it. */
export function answerOf(status: number, type: string, body: string): Answer {
  const [kind = ""] = type.split(";");
  const lines = kind === NDJSON ? linesOf(body) : undefined;
  const value = lines === undefined ? jsonOf(body) : undefined;
  const failure = Failure.safeParse(lines === undefined ? value : lines.at(-1));
  return {
    status,
    type: kind,
    allow: "",
    shape: lines === undefined ? shapeOf(value) : shapesOf(lines),
    text: failure.success ? textOf(failure.data) : value === undefined && lines === undefined ? body : "",
  };
}

function allowOf(response: Response): string {
  const methods = response.headers.get("allow")?.split(/, */) ?? [];
  return methods.toSorted((a, b) => a.localeCompare(b)).join(", ");
}

function textOf({ error }: z.infer<typeof Failure>): string {
  return typeof error === "string" ? error : error.message;
}

function linesOf(body: string): unknown[] {
  const lines = body.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => jsonOf(line));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of all lines with one status; how many there are depends on the speed, and so does which of them have a number yet. */
function shapesOf(lines: readonly unknown[]): unknown {
  const kinds: [string, object][] = [];
  for (const line of lines) {
    const { status = "" } = Line.parse(line);
    const kind = status.replace(/^pulling [0-9a-f]{12}$/, "pulling DIGEST");
    const last = kinds.at(-1);
    const shape = Object(shapeOf(line));
    if (last?.[0] === kind) Object.assign(last[1], shape);
    else kinds.push([kind, shape]);
  }
  return kinds;
}

/** `{name: "string", models: [{size: "number"}]}`; the entries of an array are one, with the fields of all. */
export function shapeOf(value: unknown): unknown {
  if (value === null) return "null";
  if (Array.isArray(value)) {
    const shapes = value.map(shapeOf);
    return shapes.every((shape) => typeof shape === "object") && shapes.length > 0
      ? [Object.assign({}, ...shapes)]
      : [...new Set(shapes)];
  }
  if (typeof value !== "object") return typeof value;
  const fields = Object.entries(value).map(([name, field]) => [name, shapeOf(field)]);
  return Object.fromEntries(fields);
}
