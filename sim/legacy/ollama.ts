// The Python client of Ollama that the legacy service uses: without timeouts, and with exception texts of its own.
import { pythonInstant } from "./python.ts";

interface TagsModel {
  readonly name?: string;
  readonly model?: string;
  readonly size?: number;
  readonly modified_at?: string;
  readonly digest?: string;
}

export interface ListedModel {
  readonly name: string;
  readonly size: number;
  readonly modified_at: string;
  readonly digest: string;
}

const UNREACHABLE =
  "Failed to connect to Ollama. Please check that Ollama is downloaded, running and accessible. https://ollama.com/download";

export class PythonOllamaClient {
  readonly #url: string;
  readonly #signal: AbortSignal;

  constructor(url: string, signal: AbortSignal) {
    this.#url = url.replace(/\/+$/, "");
    this.#signal = signal;
  }

  async list(): Promise<ListedModel[]> {
    const response = await this.#request("GET", "/api/tags");
    const { models }: { models: TagsModel[] } = JSON.parse(await response.text());
    return models.map((model) => ({
      name: model.model ?? model.name ?? "",
      size: model.size ?? 0,
      modified_at: pythonInstant(model.modified_at ?? ""),
      digest: model.digest ?? "",
    }));
  }

  async delete(model: string): Promise<void> {
    await this.#request("DELETE", "/api/delete", { model });
  }

  /** Resolves when the stream has ended. Rejects at an `error` line in it. */
  async pull(model: string): Promise<void> {
    const response = await this.#request("POST", "/api/pull", { model, stream: true, insecure: false });
    for (const line of (await response.text()).split("\n").filter((text) => text.trim() !== "")) {
      const { error }: { error?: string } = JSON.parse(line);
      if (error !== undefined) throw new Error(`${error} (status code: -1)`);
    }
  }

  async #request(method: string, path: string, body?: object): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.#url + path, {
        method,
        signal: this.#signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
    } catch (error) {
      if (this.#signal.aborted) throw error;
      throw new Error(UNREACHABLE, { cause: error });
    }
    if (response.ok) return response;
    const text = await response.text();
    throw new Error(`${errorField(text) ?? text} (status code: ${response.status})`);
  }
}

function errorField(text: string): string | undefined {
  try {
    const { error }: { error?: string } = JSON.parse(text);
    return error;
  } catch {
    return undefined;
  }
}
