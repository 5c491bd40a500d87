// The meaning of Ollama's error texts: a code, a hint, and whether another attempt can help.
import type { CourierError, ErrorCode } from "../../base/errors.ts";
import { OllamaError } from "./ollama_error.ts";
import { ownWords, withoutForeignText } from "./own_words.ts";
import { PullFailure, type Retry } from "./pull_failure.ts";
import { readable } from "./text.ts";

/** One request, in words: its purpose (`pull "phi4"`), and the Ollama that got it. */
export interface Asked {
  readonly action: string;
  readonly url: string;
  /** In hints, which are read on other machines, too: `gpu-1`. Missing: "this machine". */
  readonly machine?: string | undefined;
  /** Ollama answers it with the help of a registry: a pull. */
  readonly isPull: boolean;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly hint?: string;
  /** Only where it does not follow from the code. */
  readonly retry?: Retry;
}

/** A text that has this meaning in any response. */
const GENERAL: readonly (Meaning & { readonly text: RegExp })[] = [
  {
    text: /no space left on device|disk quota exceeded/i,
    code: "exhausted",
    hint: "Remove a model, or set OLLAMA_MODELS to a larger disk",
  },
  {
    text: /more system memory|unable to load full model on GPU|memory layout cannot be allocated|out of memory|not enough memory/i,
    code: "exhausted",
    hint: "Unload other models, or load a smaller one",
  },
  {
    text: /timed out waiting for llama/i,
    code: "unavailable",
    hint: "The model was not loaded in time: if its disk is slow, set OLLAMA_LOAD_TIMEOUT in Ollama's settings on this machine",
  },
  { text: /invalid model name|name ".*" is invalid|model is required/i, code: "invalid" },
  { text: /model ['"].*['"] not found/i, code: "not_found", hint: "gpuctl list shows the installed models" },
  {
    text: /permission denied|read-only file system/i,
    code: "unavailable",
    hint: "Ollama cannot write to its models folder on this machine: check its owner, and how its disk is mounted",
    retry: "perhaps",
  },
];

/** A text that has this meaning in the response to a pull. */
const OF_PULLS: readonly (Meaning & { readonly text: RegExp })[] = [
  {
    text: /server gave HTTP response to HTTPS client|first record does not look like a TLS handshake/i,
    code: "invalid",
    hint: "The registry speaks no TLS: name it to the agent with --insecure-registry HOST:PORT",
  },
  {
    text: /x509: certificate signed by unknown authority|x509: .*not trusted/i,
    code: "invalid",
    hint: "This machine does not trust the registry's certificate: add its CA (update-ca-certificates), then restart Ollama",
  },
  {
    text: /x509: certificate has expired or is not yet valid/i,
    code: "invalid",
    hint: "Check this machine's clock, and the date of the registry's certificate",
  },
  { text: /x509: /i, code: "invalid", hint: "The registry's certificate is for another name or purpose" },
  {
    text: /tls: (?:handshake failure|.*protocol version|no cipher suite|unrecognized name|certificate required|bad certificate|unknown certificate)/i,
    code: "invalid",
    hint: "Ollama and the registry have no TLS version, cipher or certificate in common",
  },
  {
    text: /malformed HTTP (?:response|status code|version)/i,
    code: "invalid",
    hint: "A program that is not a registry listens there, or one that only speaks TLS",
  },
  {
    text: /unauthorized|access denied|realm host/i,
    code: "forbidden",
    hint: "The registry asks for a login: the model is private, or its name is misspelled",
  },
  { text: /file does not exist/i, code: "not_found", hint: "The registry has no such model: check the name and tag" },
  // Ollama discards the bytes: the next attempt may well get the right ones. But a registry that always sends wrong bytes
  // costs the whole model each time.
  { text: /digest mismatch/i, code: "unavailable", hint: "The registry or the network changed bytes", retry: "once" },
  // Not of our doing: a pull that joins the dying download of one cancelled just before gets this.
  { text: /context canceled/i, code: "unavailable", retry: "soon" },
  // The registry or the network between.
  {
    text: /(?:dial|read|write) tcp|no such host|connection re(?:fused|set)|timeout|\btls: |\bEOF\b|max retries exceeded/,
    code: "unavailable",
    hint: "Can this machine reach the registry?",
  },
  // Ollama asks a registry that fails for a blob again for 30 s.
  {
    text: /context deadline exceeded/i,
    code: "unavailable",
    hint: "The registry does not send the model's data",
  },
];

/** Of a registry's body, only this is read. */
const TOO_OLD: Meaning & { readonly text: RegExp } = {
  text: /^(?:pull model manifest: )?412: [^]*requires a newer version of ollama/i,
  code: "unimplemented",
  hint: "Update Ollama on this machine",
};

/** Where no registry is involved, these come from reading a manifest of the model. */
const DAMAGED: Meaning & { readonly text: RegExp } = {
  text: /\bEOF\b|unexpected end of JSON|invalid character .* (?:looking for|after)|json: cannot unmarshal/i,
  code: "internal",
  hint: "The model's manifest is damaged: pull the model again to repair it",
};

/** Statuses of a registry that another attempt may change. All others above 400 are its last word. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);
const STATUS_CODES: Readonly<Record<number, ErrorCode>> = {
  401: "forbidden",
  403: "forbidden",
  404: "not_found",
  410: "not_found",
  451: "forbidden",
};
const STATUS_HINTS: Readonly<Record<number, string>> = {
  401: "The registry asks for a login: the model is private, or its name is misspelled",
  403: "The registry does not allow this pull",
  404: "The registry has no such model: check the name and tag",
  410: "The registry no longer has this model",
  451: "The registry may not distribute this model for legal reasons",
};

/**
 * Ollama gives each failure of a pull as a text under one status, so the text is all there is. The texts are those of
 * v0.32.15, seen or read in its sources. An unknown text is `internal`; of a pull, only Ollama's own words are shown.
 */
export function ollamaFailure(asked: Asked, text: string, code?: ErrorCode): CourierError {
  const said = readable(asked.isPull ? ownWords(text, asked.machine) : text);
  const meaning = meaningOf(text, asked.isPull);
  const found = code ?? meaning?.code ?? "internal";
  const meant = meaning?.code === found ? meaning.hint : undefined;
  const hint = meant === undefined ? undefined : hintFor(asked, meant);
  const reason = `Ollama says: ${said}`;
  if (!asked.isPull) return new OllamaError(found, asked.action, reason, { hint });
  return new PullFailure(found, `Cannot ${asked.action}: ${reason}`, {
    hint,
    ...(meaning?.retry === undefined ? {} : { retry: meaning.retry }),
  });
}

/** Whether Ollama refused to generate, with this failure, because the model only makes embeddings. */
export function onlyEmbeds(failure: unknown): boolean {
  return failure instanceof OllamaError && failure.reason.endsWith('" does not support generate');
}

/** @param hint as it reads on Ollama's own machine */
export function hintFor({ machine }: Asked, hint: string): string {
  return machine === undefined ? hint : hint.replaceAll("this machine", machine);
}

function meaningOf(text: string, isPull: boolean): Meaning | undefined {
  if (isPull && TOO_OLD.text.test(text)) return TOO_OLD;
  const own = isPull ? withoutForeignText(text) : text;
  const general = GENERAL.find((candidate) => candidate.text.test(own));
  if (general !== undefined) return general;
  if (!isPull) return DAMAGED.text.test(own) ? DAMAGED : statusMeaning(own, 500);
  return statusMeaning(own, 400) ?? OF_PULLS.find((candidate) => candidate.text.test(own));
}

/** Ollama puts a registry's status in front of its body: `pull model manifest: 410: Gone`. */
function statusMeaning(text: string, least: number): Meaning | undefined {
  if (/server busy/i.test(text)) return { code: "unavailable" };
  const status = Number(
    /^(?:pull model manifest: )?(\d{3})\b|unexpected status code (\d{3})\b/.exec(text)?.slice(1).find(Boolean),
  );
  if (!(status >= least) || status > 599) return undefined;
  if (status >= 500 || PASSING_STATUSES.has(status)) return { code: "unavailable" };
  const hint = STATUS_HINTS[status];
  return { code: STATUS_CODES[status] ?? "invalid", ...(hint === undefined ? {} : { hint }) };
}
