// What Ollama itself says about a failed pull. It quotes what a registry answered, or any host that it is redirected to: anyone
// who sends a pull could read services inside the network in that way. So only known words are shown, and nothing by default.

const HOST = String.raw`(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?`;
const ADDRESS = String.raw`[0-9A-Fa-f.:[\]%]{1,70}`;
/** A text as Go quotes it. */
const QUOTED = String.raw`"(?:[^"\\]|\\.)*"`;
const DIGEST = "sha256[:-][0-9a-f]{1,64}";

/** The parts of Ollama's and Go's errors, which a colon separates. Those of v0.32.15, seen or read in its sources. */
const SHOWN = [
  // Ollama.
  "pull model manifest|max retries exceeded|part stalled|download (?:stalled|too slow)|size mismatch",
  "unauthorized|access denied|file does not exist|invalid model name|insecure protocol http|digest is empty",
  `digest mismatch(?:, file must be downloaded again)?|want ${DIGEST}, got ${DIGEST}`,
  String.raw`too many redirects|maximum redirects exceeded \(10\) for directURL|stopped after 10 redirects`,
  "this model requires MLX support, but the MLX runtime is not available",
  "server busy, please try again\\.  maximum pending requests exceeded|server busy|missing request body",
  "unexpected status code \\d{3}|status \\d{3}",
  // The connection.
  String.raw`(?:Get|Head) "https?://${HOST}/v2/[\w./:-]{1,300}/(?:manifests|blobs)/[\w.:-]{1,140}"`,
  // Names are looked up over UDP.
  `dial (?:tcp|udp)(?: ${ADDRESS})?|(?:read|write) (?:tcp|udp) ${ADDRESS}(?:->${ADDRESS})?|lookup ${HOST}(?: on ${ADDRESS})?`,
  "net/http|http2?|HTTP/1\\.x transport connection broken|server gave HTTP response to HTTPS client",
  "no such host|server misbehaving|Temporary failure in name resolution|No address associated with hostname",
  "connect|read|write|connection (?:refused|timed out)",
  "connection reset by peer|network is unreachable|no route to host|broken pipe|use of closed network connection",
  "i/o timeout|TLS handshake timeout|timeout awaiting response headers|server closed idle connection|(?:unexpected )?EOF",
  String.raw`(?:context deadline exceeded|context canceled)(?: \(Client\.Timeout[a-zA-Z ]{0,60}\))?`,
  // TLS.
  "tls|remote error|local error|failed to verify certificate|x509|certificate signed by unknown authority",
  "first record does not look like a TLS handshake|handshake failure|protocol version not supported|unrecognized name",
  "bad record MAC|internal error|(?:bad|unknown|expired|revoked) certificate(?: authority)?|certificate required",
  // The disk.
  String.raw`(?:open|read|write|stat|lstat|mkdir|rename|link|unlink|remove|truncate|chmod|fsync) /[^:"]{1,400}`,
  "no space left on device|disk quota exceeded|permission denied|operation not permitted|read-only file system",
  "no such file or directory|file exists|input/output error|too many open files|stale (?:NFS )?file handle",
  "unexpected end of JSON input",
].join("|");

/** Parts behind which foreign text comes: the rest is left out. */
const LAST = [
  "malformed (?:HTTP (?:response|status code|version)|MIME header)",
  "bad Content-Length|failed to parse Location header|unsupported (?:protocol scheme|transfer encoding)",
  "certificate has expired or is not yet valid|certificate is (?:valid for|not valid for any names)",
  "realm host|invalid character|json: cannot unmarshal|stream error|invalid header field",
].join("|");

const SHOWN_PART = new RegExp(`(?:${SHOWN})(?=: |$)`, "y");
const LAST_PART = new RegExp(`(?:${LAST})(?![A-Za-z])`, "y");
/** After a redirect, its path and query are what the first host said. */
const REQUEST = new RegExp(`(Get|Head) "(https?://${HOST})(?:[/?#](?:[^"\\\\]|\\\\.)*)?"(?=: |$)`, "y");
/** In front of the body that came with it. */
const STATUS = /(\d{3})(?=: |$)/y;

/**
 * The text as far as its words are known, and where to find the rest.
 * @param machine whose log has it; undefined: this one
 */
export function ownWords(text: string, machine?: string): string {
  const log = `see Ollama's log${machine === undefined ? "" : ` on ${machine}`}`;
  const words: string[] = [];
  for (let at = 0; at < text.length; at += 2) {
    const part = partAt(text, at);
    if (part === null) return words.length === 0 ? `something unknown, ${log}` : [...words, log].join(": ");
    words.push(part.shown);
    if (part.end === null) break;
    at = part.end;
  }
  return words.join(": ");
}

/**
 * The text without what another host wrote, to be searched for causes.
 * @returns a status stays, without its body
 */
export function withoutForeignText(text: string): string {
  return text
    .replaceAll(new RegExp(QUOTED, "g"), '""')
    .replace(/(^|: )(\d{3}): [^]*$/, "$1$2")
    .replace(/(malformed (?:HTTP (?:response|status code|version)|MIME header))[^]*$/, "$1");
}

/** @returns the part that begins there, and where it ends; null: the rest is left out */
function partAt(text: string, at: number): { readonly shown: string; readonly end: number | null } | null {
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  const status = match(STATUS);
  if (status !== null) return { shown: `status ${status[1]}`, end: null };
  const shown = match(SHOWN_PART);
  if (shown !== null) return { shown: shown[0], end: at + shown[0].length };
  const request = match(REQUEST);
  if (request !== null) return { shown: `${request[1]} "${request[2]}/..."`, end: at + request[0].length };
  const last = match(LAST_PART);
  return last === null ? null : { shown: last[0], end: null };
}
