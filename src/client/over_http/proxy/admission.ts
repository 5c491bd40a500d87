// Which requests may use a port that adds a token: those of programs on this machine, never those of a web page.

/** Every browser sends at least one of them with what a page requests from elsewhere, and no other program does. */
const OF_BROWSERS = ["origin", "sec-fetch-site"] as const;
/** What Ollama's API has. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "DELETE"]);

/** A request that is not passed on. */
export interface Refusal {
  readonly status: 403 | 404 | 405;
  readonly reason: string;
}

/**
 * @param port the one that the request came to
 * @returns undefined when the request may pass
 */
export function refusalOf({ method, headers }: Pick<Request, "method" | "headers">, port: number): Refusal | undefined {
  const host = headers.get("host")?.toLowerCase();
  // A page whose own name leads to 127.0.0.1 (DNS rebinding) sends that name.
  if (host === undefined || !hostsOf(port).includes(host))
    return { status: 403, reason: `This port is for http://127.0.0.1:${port} only, not for another host` };
  const browser = OF_BROWSERS.find((name) => headers.has(name));
  if (browser !== undefined)
    return { status: 403, reason: `This port is not for web pages: the request has the header ${browser}` };
  if (!METHODS.has(method)) return { status: 405, reason: "Ollama's API has no such method" };
  return undefined;
}

/** As clients write them: without the port where it is that of HTTP. */
function hostsOf(port: number): readonly string[] {
  const names = ["127.0.0.1", "localhost"];
  return [...names.map((name) => `${name}:${port}`), ...(port === 80 ? names : [])];
}
