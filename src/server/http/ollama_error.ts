// Failures as Ollama's clients read them.

/** OpenAI's own words for a status. */
function typeOf(status: number): string {
  if (status === 404) return "not_found_error";
  return status < 500 ? "invalid_request_error" : "api_error";
}

/** @param path `/agents/gpu-1/v1/…` are OpenAI's routes, all others Ollama's own */
export function ollamaError(path: string, status: number, text: string): object {
  const message = inCliWords(text);
  if (!/^\/agents\/[^/]+\/v1(?:\/|$)/.test(path)) return { error: message };
  return { error: { message, type: typeOf(status), param: null, code: null } };
}

/** At ` refused` and at `could not connect`, the `ollama` command starts a server of its own on the user's machine (v0.32.15). */
export function inCliWords(text: string): string {
  return text.replaceAll(/ (refused)\b/gi, "-$1").replaceAll(/could not connect/gi, "cannot connect");
}
