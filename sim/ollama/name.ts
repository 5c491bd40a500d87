// Ollama's model name grammar, written apart from src/base/model_name.ts, so that one mistake cannot hide another.

export interface Name {
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
}

export const DEFAULT_HOST = "registry.ollama.ai";
const DEFAULT_NAMESPACE = "library";

/** The name that `text` spells, or null when Ollama refuses it. Trims nothing: some routes do, some do not. */
export function parseName(text: string): Name | null {
  let rest = text;
  let tag = "latest";
  if (rest.lastIndexOf(":") > rest.lastIndexOf("/")) {
    [rest, tag] = cutLast(rest, ":");
    if (rest === "") return null;
  }
  // Only what stands before two slashes is a host, and only a host may carry a scheme: `http://h/m` has no namespace.
  let host = DEFAULT_HOST;
  let namespace = DEFAULT_NAMESPACE;
  let model = rest;
  if (rest.includes("/")) {
    [rest, model] = cutLast(rest, "/");
    namespace = rest;
    if (rest.includes("/")) {
      [host, namespace] = cutLast(rest, "/");
      host = host.slice(host.includes("://") ? host.indexOf("://") + 3 : 0);
    }
  }
  const valid =
    /^\w[\w.:-]{0,349}$/.test(host) && /^\w[\w-]{0,79}$/.test(namespace) && isModelOrTag(model) && isModelOrTag(tag);
  return valid ? { host, namespace, model, tag } : null;
}

/** As Ollama shows it: host and namespace only when they are not the defaults, the tag always. */
export function showName({ host, namespace, model, tag }: Name): string {
  const short = `${model}:${tag}`;
  if (host.toLowerCase() !== DEFAULT_HOST) return `${host}/${namespace}/${short}`;
  return namespace.toLowerCase() === DEFAULT_NAMESPACE ? short : `${namespace}/${short}`;
}

/** Equal for two spellings of the same name: Ollama compares without regard to case. */
export function nameKey({ host, namespace, model, tag }: Name): string {
  return `${host}/${namespace}/${model}:${tag}`.toLowerCase();
}

function cutLast(text: string, separator: string): [before: string, after: string] {
  const at = text.lastIndexOf(separator);
  return [text.slice(0, at), text.slice(at + 1)];
}

function isModelOrTag(part: string): boolean {
  return /^\w[\w.-]{0,79}$/.test(part);
}
