// What the legacy service saw of Ollama through Python's client: no time-outs, and the texts of its exceptions. For tests.
// Imports nothing but its neighbour.
import { pythonInstant } from "./python.ts";

interface TagsModel {
  readonly name?: string;
  readonly model?: string;
  readonly size?: number;
  readonly modified_at?: string;
  readonly digest?: string;
}

export interface OldModel {
  readonly name: string;
  readonly size: number;
  readonly modified_at: string;
  readonly digest: string;
}

const UNREACHABLE =
  "Failed to connect to Ollama. Please check that Ollama is downloaded, running and accessible. https://ollama.com/download";

export class OldOllamaClient {
  readonly #url: string;
  readonly #signal: AbortSignal;

  constructor(url: string, signal: AbortSignal) {
    this.#url = url.replace(/\/+$/, "");
    this.#signal = signal;
  }

  async list(): Promise<OldModel[]> {
    const answer = await this.#ask("GET", "/api/tags");
    const { models }: { models: TagsModel[] } = JSON.parse(await answer.text());
    return models.map((model) => ({
      name: model.model ?? model.name ?? "",
      size: model.size ?? 0,
      modified_at: pythonInstant(model.modified_at ?? ""),
      digest: model.digest ?? "",
    }));
  }

  async delete(model: string): Promise<void> {
    await this.#ask("DELETE", "/api/delete", { model });
  }

  /** Resolves when the stream has ended; an `error` line in it rejects. */
  async pull(model: string): Promise<void> {
    const answer = await this.#ask("POST", "/api/pull", { model, stream: true, insecure: false });
    for (const line of (await answer.text()).split("\n").filter((text) => text.trim() !== "")) {
      const { error }: { error?: string } = JSON.parse(line);
      if (error !== undefined) throw new Error(`${error} (status code: -1)`);
    }
  }

  async #ask(method: string, path: string, body?: object): Promise<Response> {
    let answer: Response;
    try {
      answer = await fetch(this.#url + path, {
        method,
        signal: this.#signal,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
    } catch (error) {
      if (this.#signal.aborted) throw error;
      throw new Error(UNREACHABLE, { cause: error });
    }
    if (answer.ok) return answer;
    const text = await answer.text();
    throw new Error(`${errorField(text) ?? text} (status code: ${answer.status})`);
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
