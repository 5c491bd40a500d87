// Responses that are rendered once and sent to everyone who asks for the same, until something in them changes.
import type { Context, TypedResponse } from "hono";

/** A list as it is sent. */
export interface Rendered {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  /** The address of the next page, for the header `Link`. */
  readonly next: string | null;
}

interface Kept extends Rendered {
  readonly version: string;
}

/** How a document may be kept, and by whom. */
type Keeping = "private, no-cache" | "no-cache" | "public, max-age=31536000, immutable";

const MOST = { entries: 200, bytes: 64 * 1024 * 1024 };

export class RenderedLists {
  /** The one that was used last comes last. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  /**
   * @param key the request: its path and query
   * @param version of everything that the response shows; undefined: it is not kept
   */
  get(key: string, version: string | undefined, render: () => { readonly text: string; readonly next: string | null }) {
    const known = this.#kept.get(key);
    if (known !== undefined) this.#drop(key, known);
    if (known !== undefined && known.version === version) return this.#keep(key, known);
    const { text, next } = render();
    const rendered = { ...renderedText(text), next };
    return version === undefined ? rendered : this.#keep(key, { ...rendered, version });
  }

  #keep(key: string, kept: Kept): Rendered {
    this.#kept.set(key, kept);
    this.#bytes += kept.body.byteLength;
    for (const [oldKey, old] of this.#kept) {
      if (this.#kept.size <= MOST.entries && this.#bytes <= MOST.bytes) break;
      this.#drop(oldKey, old);
    }
    return kept;
  }

  #drop(key: string, { body }: Kept): void {
    this.#kept.delete(key);
    this.#bytes -= body.byteLength;
  }
}

/** A JSON document with an `ETag`, or 304 when the caller has it already. */
export function respond<Document>(context: Context, { next, ...rendered }: Rendered): JsonResponse<Document> {
  context.header("vary", "Authorization, Cookie, Origin, Accept-Encoding");
  if (next !== null) context.header("link", `<${next}>; rel="next"`);
  const response = respondUnlessKept(context, rendered, "application/json", "private, no-cache");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- hono knows the type only of a body that it writes
  return response as unknown as JsonResponse<Document>;
}

/** A document that is not a list. @param text its JSON */
export function respondWith<Document>(context: Context, text: string): JsonResponse<Document> {
  return respond(context, { ...renderedText(text), next: null });
}

/** A document of any type, or 304 when the caller has it already. @param rendered the same for all who get it */
export function respondUnlessKept(
  context: Context,
  { body, etag }: Omit<Rendered, "next">,
  contentType: string,
  keeping: Keeping,
): Response {
  const headers = { etag, "cache-control": keeping };
  if (hasAlready(context.req.header("if-none-match"), etag)) return context.body(null, 304, headers);
  context.set("sharedBody", body);
  return context.body(body, 200, { ...headers, "content-type": contentType });
}

export function renderedText(text: string): Omit<Rendered, "next"> {
  return { body: new TextEncoder().encode(text), etag: etagOf(text) };
}

/** For the types of `app.openapi`. */
type JsonResponse<Document> = TypedResponse<Document, 200, "json">;

/** Weak: the bytes may differ in what does not matter. Equal content has an equal tag, also after a restart. */
function etagOf(text: string): string {
  return `W/"${Bun.hash(text).toString(36)}"`;
}

function hasAlready(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const opaque = etag.slice(2);
  const sent = header.split(",").map((tag) => tag.trim());
  return sent.some((tag) => tag === "*" || tag === etag || tag === opaque);
}
