// Reads and parses the text of other programs, within bounds and without throwing.

/**
 * Reads a body.
 * @param seen gets its bytes as they come
 * @returns null when it has more than `maxBytes`; the rest is then not fetched
 */
export async function readBounded(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  seen?: (chunk: Uint8Array) => void,
): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return null;
    seen?.(chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** @returns undefined when the text is not JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @returns undefined when the value is no object, or has no such field of its own */
export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

/**
 * Why a pull failed, without the steps that Ollama and Go list in front of it: `registry.ollama.ai: no such host`. For a
 * job, which shows the model and the agent beside it.
 */
export function shortReason(text: string): string {
  return text
    .replace(/^Cannot pull "[^"]*"(?: on [a-z0-9-]+)?: /, "")
    .replace(/^Ollama (?:at \S+ )?says: /, "")
    .replace(/^pull model manifest: /, "")
    .replace(GO_RESOLVER, "$1: its name server $2: ")
    .replace(GO_REQUEST, "$1: ")
    .replace(/^context deadline exceeded$/, "the registry sends no data")
    .replace(/^status (\d{3})$/, "the registry answers with status $1");
}

/** `Get "https://host/v2/…": dial tcp: lookup host on 10.0.0.53:53: read udp 10.0.0.2:4->10.0.0.53:53: ` */
const GO_RESOLVER =
  /^(?:Get|Head) "https?:\/\/([^/"]+)[^"]*": dial tcp: lookup \S+? on (\S+?)(?::53)?: (?:dial|read|write) udp \S+: (?:(?:connect|read|write): )?/;

/** `Get "https://host/v2/…": dial tcp 10.0.0.1:443: connect: `, of which the host stays. */
const GO_REQUEST =
  /^(?:Get|Head) "https?:\/\/([^/"]+)[^"]*": (?:(?:dial|read|write) tcp(?: \S+)?: )?(?:lookup \S+?(?: on \S+)?: |(?:connect|read|write): )?/;
