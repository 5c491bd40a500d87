// The bodies of requests as Ollama reads them: whatever their content type, with `model` or the older `name`, and other
// fields ignored.
import type { Context } from "hono";
import { z } from "zod";
import { CourierError, type ErrorCode } from "../../base/errors.ts";
import { normalModelName } from "../../base/model_name.ts";
import type { Env } from "../http/env.ts";
import { asInvalid } from "../http/invalid.ts";

const Text = z.string().nullish();
const Named = z.object({ model: Text, name: Text });
const Pull = Named.extend({ stream: z.boolean().nullish() });
const Copy = z.object({ source: Text, destination: Text });
/** A prompt of any kind makes it more than a request to load or unload. */
const Generate = Named.extend({
  prompt: Text,
  suffix: Text,
  images: z.array(z.unknown()).nullish(),
  keep_alive: z.unknown().optional(),
});
const Chat = Named.extend({ messages: z.array(z.unknown()).nullish(), keep_alive: z.unknown().optional() });

export const REQUESTS = { named: Named, pull: Pull, copy: Copy, generate: Generate, chat: Chat } as const;

/** @throws CourierError `invalid`, in Ollama's words */
export async function readRequest<Schema extends z.ZodType>(
  context: Context<Env>,
  schema: Schema,
): Promise<z.output<Schema>> {
  const text = await context.req.text();
  if (text.trim() === "") throw new CourierError("invalid", "missing request body");
  const value = jsonOf(text);
  const parsed = schema.safeParse(value);
  if (parsed.success) {
    context.req.addValidatedData("json", auditedOf(Object(parsed.data)));
    return parsed.data;
  }
  throw asInvalid(parsed.error, value, "the body");
}

/** What the audit may keep of a request that is refused: never a prompt. */
const AUDITED: ReadonlySet<string> = new Set(["model", "name", "source", "destination", "stream", "keep_alive"]);

function auditedOf(request: object): object {
  return Object.fromEntries(Object.entries(request).filter(([field]) => AUDITED.has(field)));
}

interface Words {
  /** For a request that names none. */
  readonly missing: string;
  /** By default `invalid`. */
  readonly missingCode?: ErrorCode;
  /** For a name that Ollama would refuse. */
  readonly invalid: (name: string) => string;
}

interface NamedModel {
  /** As it was sent, which Ollama repeats. */
  readonly sent: string;
  /** As Ollama lists it. */
  readonly name: string;
}

/** @throws CourierError `invalid` */
export function modelOf({ model, name }: z.output<typeof Named>, words: Words): NamedModel {
  const sent = (model || name || "").trim();
  if (sent === "") throw new CourierError(words.missingCode ?? "invalid", words.missing);
  return { sent, name: normalOr(sent, words.invalid) };
}

/** @throws CourierError `invalid` with these words, for a name that Ollama would refuse */
export function normalOr(sent: string, words: (name: string) => string): string {
  try {
    return normalModelName(sent);
  } catch (error) {
    throw new CourierError("invalid", words(sent), { cause: error });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CourierError("invalid", "invalid request: the body is not valid JSON", { cause: error });
  }
}
