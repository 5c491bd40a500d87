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
    const rendered = { body: new TextEncoder().encode(text), etag: etagOf(text), next };
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
export function respond<Document>(context: Context, { body, etag, next }: Rendered): JsonResponse<Document> {
  const headers: Record<string, string> = {
    etag,
    "cache-control": "private, no-cache",
    vary: "Authorization, Cookie, Origin, Accept-Encoding",
    ...(next === null ? {} : { link: `<${next}>; rel="next"` }),
  };
  const isKnown = hasAlready(context.req.header("if-none-match"), etag);
  const response = isKnown
    ? context.body(null, 304, headers)
    : context.body(body, 200, { ...headers, "content-type": "application/json" });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- hono knows the type only of a body that it writes
  return response as unknown as JsonResponse<Document>;
}

/** A document that is not a list. @param text its JSON */
export function respondWith<Document>(context: Context, text: string): JsonResponse<Document> {
  return respond(context, { body: new TextEncoder().encode(text), etag: etagOf(text), next: null });
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
