// Helpers for tests of the legacy programs: a share in a temporary folder, a tiny Ollama, and bounded waiting.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A new share. Paths are relative to it. */
export class TempShare {
  readonly path = mkdtempSync(join(tmpdir(), "legacy-share-"));

  /** Writes in place. */
  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.path, path)), { recursive: true });
    writeFileSync(join(this.path, path), text);
  }

  read(path: string): string {
    return readFileSync(join(this.path, path), "utf8");
  }

  holds(path: string): boolean {
    return existsSync(join(this.path, path));
  }

  list(folder: string): string[] {
    return readdirSync(join(this.path, folder));
  }

  /** Writes a file that is complete when it becomes visible, for readers in other processes. */
  publish(path: string, text: string): void {
    this.write(`${path}.part`, text);
    renameSync(join(this.path, `${path}.part`), join(this.path, path));
  }

  remove(path = ""): void {
    rmSync(join(this.path, path), { recursive: true, force: true });
  }
}

/** Waits until `condition` is true. Rejects after 5 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Waited 5 s without success until ${what}`);
    await Bun.sleep(5);
  }
}

/** Replaces the timestamp in `text` by the sample's. Both must have the form of Python's `isoformat()`. */
export function withTimestampOf(sample: string, text: string): string {
  const timestamp = /"timestamp": "(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?)"/;
  const wanted = timestamp.exec(sample)?.[0];
  if (wanted === undefined || !timestamp.test(text)) throw new Error(`Expected a naive timestamp in ${text}`);
  return text.replace(timestamp, wanted);
}

/** Three routes of Ollama on a free port. `phi5` is not installed. A pull of `bad` fails inside its 200 response. */
export class TinyOllama {
  readonly requests: string[] = [];
  readonly #pullsMayEnd = Promise.withResolvers<void>();
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/api/tags": () => Response.json({ models: MODELS }),
      "/api/pull": { POST: async (request) => await this.#pull(await modelOf(request)) },
      "/api/delete": { DELETE: async (request) => this.#delete(await modelOf(request)) },
    },
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Every pull keeps running until this is called. */
  endPulls(): void {
    this.#pullsMayEnd.resolve();
  }

  async stop(): Promise<void> {
    this.endPulls();
    await this.#server.stop(true);
  }

  async #pull(model: string): Promise<Response> {
    this.requests.push(`pull ${model}`);
    await this.#pullsMayEnd.promise;
    const last = model === "bad" ? { error: "pull model manifest: file does not exist" } : { status: "success" };
    return new Response(`{"status":"pulling manifest"}\n${JSON.stringify(last)}\n`);
  }

  #delete(model: string): Response {
    this.requests.push(`delete ${model}`);
    if (model !== "phi5") return new Response();
    return Response.json({ error: `model '${model}' not found` }, { status: 404 });
  }
}

const MODELS = [
  {
    name: "phi4:latest",
    model: "phi4:latest",
    modified_at: "2025-07-15T16:58:02.123456789Z",
    size: 9053116391,
    digest: "ac896e5b8b34a1f4efa7b14d7520725140d5512484457fab45d2a4ea14c69dba",
    details: { format: "gguf", family: "phi3" },
  },
  {
    name: "gemma3:12b",
    model: "gemma3:12b",
    modified_at: "2025-07-14T09:30:00+02:00",
    size: 8149190253,
    digest: "f4031aab637d1ffa37b42570452ae0e4fad0314754d17ded67322e4b95836f8a",
    details: { format: "gguf", family: "gemma3" },
  },
];

async function modelOf(request: Request): Promise<string> {
  const { model }: { model: string } = JSON.parse(await request.text());
  return model;
}
