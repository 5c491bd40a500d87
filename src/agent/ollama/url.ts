// The address of Ollama: reads the forms that OLLAMA_HOST takes.
import { CourierError } from "../../base/errors.ts";

const DEFAULT_PORT = "11434";

/**
 * The base URL of an Ollama, from what `OLLAMA_HOST` or `--ollama` says, read as Ollama reads it: scheme, host and port may
 * each be left out; quotes around it are dropped; without a scheme the port is 11434, with one it is that scheme's.
 * `0.0.0.0` and `::`, which a server listens on, become loopback, which a client can reach.
 * @returns such as `http://127.0.0.1:11434`, without a slash at the end
 * @throws CourierError `invalid` when it is not such an address
 */
export function parseOllamaUrl(text: string): string {
  const trimmed = text.trim().replaceAll(/^["']+|["']+$/g, "");
  const [scheme, address] = splitScheme(trimmed);
  const [, host = "", path = ""] = /^([^/]*)(.*)$/.exec(address) ?? [];
  const authority = withDefaults(host, scheme === "");
  const url = URL.parse(`${scheme === "" ? "http" : scheme}://${authority}${path}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username + url.password + url.search + url.hash !== "") {
    throw new CourierError("invalid", `Cannot use ${JSON.stringify(trimmed)} as the address of Ollama`, {
      hint: "An address looks like 127.0.0.1, gpu-box:11434 or http://127.0.0.1:11434",
    });
  }
  if (url.hostname === "0.0.0.0") url.hostname = "127.0.0.1";
  if (url.hostname === "[::]") url.hostname = "[::1]";
  return url.href.replace(/\/+$/, "");
}

function splitScheme(text: string): [scheme: string, rest: string] {
  const at = text.indexOf("://");
  return at === -1 ? ["", text] : [text.slice(0, at).toLowerCase(), text.slice(at + 3)];
}

/** `host:port` with the missing parts filled in; brackets around a bare IPv6 address. */
function withDefaults(text: string, addPort: boolean): string {
  const bare = text.startsWith(":") && !text.startsWith("::") ? `127.0.0.1${text}` : text === "" ? "127.0.0.1" : text;
  const host = bare.split(":").length > 2 && !bare.startsWith("[") ? `[${bare}]` : bare;
  return addPort && !/:\d+$/.test(host.replace(/^\[.*\]/, "host")) ? `${host}:${DEFAULT_PORT}` : host;
}
