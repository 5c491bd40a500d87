// Reads a request's JSON as the real Ollama does, with its decoder's error texts.
import { z } from "zod";
import { failure } from "./answers.ts";

/** Every field that a route here reads; unknown ones are ignored. */
const Body = z.object({
  model: z.string().default(""),
  /** The deprecated field, still accepted; the JavaScript client sends only this one to pull and delete. */
  name: z.string().default(""),
  insecure: z.boolean().optional(),
  stream: z.boolean().optional(),
  source: z.string().optional(),
  destination: z.string().optional(),
  prompt: z.string().optional(),
  messages: z.array(z.unknown()).optional(),
  input: z.union([z.string(), z.array(z.string())]).optional(),
  keep_alive: z.union([z.number(), z.string()]).optional(),
});
type Body = z.infer<typeof Body>;

const UNITS_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
  ns: 0.000_001,
};
const DEFAULT_MS = 300_000;
/** Go's longest duration is 292 years. */
const FOREVER_MS = 292 * 365 * 86_400_000;

/** The body, `model` filled in from `name`; or the 400 to answer. @param type in Go, which the error names */
export async function readBody(request: Request, type = "GenerateRequest"): Promise<Body | Response> {
  const text = await request.text();
  if (text.trim() === "") return failure(400, "missing request body");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return failure(400, decoderText(text));
  }
  const body = Body.safeParse(value);
  if (!body.success) return failure(400, mismatchText(value, body.error, type));
  return { ...body.data, model: body.data.model === "" ? body.data.name : body.data.model };
}

/** The error of Go's decoder for JSON that does not fit. */
function mismatchText(value: unknown, { issues }: z.ZodError, type: string): string {
  const [field] = issues[0]?.path ?? [];
  if (typeof field !== "string") return `json: cannot unmarshal ${kindOf(value)} into Go value of type api.${type}`;
  const wanted = field === "stream" || field === "insecure" ? "bool" : "string";
  const found = kindOf(Object(value)[field]);
  return `json: cannot unmarshal ${found} into Go struct field ${type}.${field} of type ${wanted}`;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** The error of Go's decoder for text that is not JSON, in the cases that matter here. */
export function decoderText(text: string): string {
  const [start = ""] = /\S/.exec(text) ?? [];
  if (start === "") return "EOF";
  if (start !== "{") return `invalid character '${start}' looking for beginning of value`;
  const [, key = ""] = /^\s*\{\s*(\S)/.exec(text) ?? [];
  if (key !== '"' && key !== "") return `invalid character '${key}' looking for beginning of object key string`;
  return "unexpected EOF";
}

/** How long a model stays loaded: seconds, or a duration with units. @returns ms; or the 400 of Go's decoder */
export function keepAliveMs(value: number | string | undefined): number | Response {
  if (value === undefined) return DEFAULT_MS;
  if (typeof value === "number") return value < 0 ? FOREVER_MS : value * 1000;
  if (/^[+-]?0$/.test(value)) return 0;
  const shown = JSON.stringify(value);
  const [, rest = ""] = /^[+-]?(.*)$/.exec(value) ?? [];
  if (!/^(?:(?:\d+\.?\d*|\.\d+)[^\d.]*)+$/.test(rest)) return failure(400, `time: invalid duration ${shown}`);
  for (const [, unit = ""] of rest.matchAll(/[\d.]+([^\d.]*)/g)) {
    if (unit === "") return failure(400, `time: missing unit in duration ${shown}`);
    if (UNITS_MS[unit] === undefined)
      return failure(400, `time: unknown unit ${JSON.stringify(unit)} in duration ${shown}`);
  }
  const parts = [...value.matchAll(/([\d.]+)([a-z]+)/g)];
  const ms = parts.reduce((sum, [, amount, unit = ""]) => sum + Number(amount) * (UNITS_MS[unit] ?? 0), 0);
  return value.startsWith("-") && ms > 0 ? FOREVER_MS : ms;
}
