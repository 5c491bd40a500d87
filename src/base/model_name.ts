// The grammar of Ollama's model names.
import { CourierError } from "./errors.ts";

export interface ModelName {
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
}

const DEFAULTS = { host: "registry.ollama.ai", namespace: "library", tag: "latest" } as const;
/** Longest valid name, in characters: a scheme, host 350, namespace, model and tag 80 each, separators. */
const MAX_NAME_CHARS = 8 + 350 + 3 * 80 + 3;
const PART = {
  host: /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}$/,
  namespace: /^[A-Za-z0-9_][A-Za-z0-9_-]{0,79}$/,
  model: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/,
  tag: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/,
} as const;

/**
 * Splits a model name as Ollama does, and fills in Ollama's defaults. Ignores surrounding white space and a scheme.
 * @param text untrusted
 * @returns the four parts, each valid
 * @throws CourierError `invalid` when Ollama would refuse the name
 */
export function parseModelName(text: string): ModelName {
  const trimmed = text.trim();
  const parts = trimmed.length <= MAX_NAME_CHARS ? split(trimmed) : undefined;
  // Since 0.18 Ollama takes it away and then reads the rest, but not in a copy: `phi4:local` is two models.
  if (parts !== undefined && sameText(parts.tag, "local")) throw ambiguous(trimmed);
  if (parts !== undefined && isValid(parts)) return parts;
  throw new CourierError("invalid", `Cannot use ${quoted(trimmed)} as a model name`, {
    hint: "A model name looks like phi4, phi4:latest, user/model:tag or, from another registry, registry.example:5000/user/model:tag",
  });
}

/**
 * Whether Ollama takes a model's name for one that ollama.com runs: it asks there for its details, even if it is not installed.
 * @param name in Ollama's form
 */
export function isCloudName(name: string): boolean {
  return /[:-]cloud$/i.test(name);
}

/** The name as Ollama shows it: always with the tag, with host and namespace only when they are not the defaults. */
export function formatModelName(name: ModelName): string {
  const short = `${name.model}:${name.tag}`;
  if (!sameText(name.host, DEFAULTS.host)) return `${name.host}/${name.namespace}/${short}`;
  return sameText(name.namespace, DEFAULTS.namespace) ? short : `${name.namespace}/${short}`;
}

/**
 * The name as Ollama shows it. Two names for the same model become equal, except for upper and lower case: Ollama keeps
 * the case and ignores it when it compares names.
 * @throws CourierError `invalid` when Ollama would refuse the name
 */
export function normalModelName(text: string): string {
  return formatModelName(parseModelName(text));
}

/** Whether two names mean the same model. Ollama ignores case when it compares. False when either name is invalid. */
export function sameModel(a: string, b: string): boolean {
  try {
    return sameText(normalModelName(a), normalModelName(b));
  } catch {
    return false;
  }
}

function split(text: string): ModelName | undefined {
  let rest = text;
  let tag: string = DEFAULTS.tag;
  if (rest.lastIndexOf(":") > rest.lastIndexOf("/")) {
    tag = rest.slice(rest.lastIndexOf(":") + 1);
    rest = rest.slice(0, rest.lastIndexOf(":"));
  }
  const scheme = /^[A-Za-z]+:\/\//.exec(rest)?.[0] ?? "";
  const parts = rest.slice(scheme.length).split("/");
  const model = parts.pop();
  if (model === undefined || parts.length > 2) return undefined;
  // A scheme must be followed by a host: `http://h/m` does not name `h/m`.
  if (scheme !== "" && parts.length < 2) return undefined;
  const namespace = parts.pop() ?? DEFAULTS.namespace;
  const host = parts.pop() ?? DEFAULTS.host;
  return { host, namespace, model, tag };
}

function isValid(name: ModelName): boolean {
  return (
    PART.host.test(name.host) &&
    PART.namespace.test(name.namespace) &&
    PART.model.test(name.model) &&
    PART.tag.test(name.tag)
  );
}

/** For ASCII, which every valid name is. */
function sameText(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function ambiguous(text: string): CourierError {
  return new CourierError("invalid", `Cannot use ${quoted(text)} as a model name: Ollama ignores the tag "local"`, {
    hint: "Name the model with its tag, such as phi4:latest",
  });
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
