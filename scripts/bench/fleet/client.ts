// The client of both the measured server and the bare one: one request at a time, on connections that stay open.

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly etag: string | null;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const LIMIT_MS = 30_000;

export class Client {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, token: string) {
    this.#url = url;
    // The bare server sends the bytes that it was given, so they are not compressed.
    this.#headers = { authorization: `Bearer ${token}`, "accept-encoding": "identity" };
  }

  /**
   * Resolves when the whole body is here.
   * @param etag makes the request conditional
   * @throws Error for any status but 200 and 304, and when there is no answer within 30 s
   */
  async fetch(path: string, etag?: string): Promise<Answer> {
    const response = await fetch(`${this.#url}${path}`, {
      headers: etag === undefined ? this.#headers : { ...this.#headers, "if-none-match": etag },
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const { status, headers } = response;
    if (status !== 200 && status !== 304)
      throw new Error(`GET ${path}: ${status} ${new TextDecoder().decode(bytes.subarray(0, 200))}`);
    return { status, type: headers.get("content-type") ?? "", etag: headers.get("etag"), bytes };
  }

  /** Resolves when the whole answer is here. @throws Error for any status but 200, and when there is no answer within 30 s */
  async post(path: string): Promise<void> {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const response = await fetch(`${this.#url}${path}`, { method: "POST", headers: this.#headers, signal });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`POST ${path}: ${response.status} ${text.slice(0, 200)}`);
  }

  /** @throws Error as `fetch` does */
  async json(path: string): Promise<Record<string, unknown>> {
    return JSON.parse(new TextDecoder().decode((await this.fetch(path)).bytes));
  }
}
