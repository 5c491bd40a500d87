// Stands between an agent and its simulated Ollama: records every request that reaches Ollama, and breaks some at will.
import { z } from "zod";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";

/** `slow`: Ollama does at once what it is asked, and its answer takes that long. `fails`: 500, and nothing is done. */
export type FrontFault = { readonly kind: "slow"; readonly ms: number } | { readonly kind: "fails" };

/** What a broken Ollama says. */
export const BROKEN = "broken by the chaos test";

/** A request that reached Ollama. */
export interface Forwarded {
  readonly route: string;
  readonly atMs: number;
  readonly model: string;
  readonly destination: string;
  readonly status: number;
}

const Body = z.object({
  model: z.string().default(""),
  name: z.string().default(""),
  source: z.string().default(""),
  destination: z.string().default(""),
});

export class OllamaFront {
  fault: FrontFault | null = null;
  readonly forwarded: Forwarded[] = [];
  readonly #ollama: SimulatedOllama;
  #server: Bun.Server<undefined> | undefined;
  #port = 0;

  constructor(ollama: SimulatedOllama) {
    this.#ollama = ollama;
    this.accept();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Refuses connections and cuts the open ones. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop(true);
  }

  accept(): void {
    if (this.#server !== undefined) return;
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: this.#port,
      idleTimeout: 0,
      fetch: async (request) => await this.#pass(request),
    });
    this.#port = this.#server.port ?? 0;
  }

  async #pass(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (this.fault?.kind === "fails") return Response.json({ error: BROKEN }, { status: 500 });
    const text = await request.text();
    // A pull ends with its connection. Everything else Ollama completes, whether or not the caller still waits.
    const signal = pathname === "/api/pull" ? { signal: request.signal } : {};
    const body = text === "" ? {} : { body: text };
    const answer = await fetch(`${this.#ollama.url}${pathname}`, { method: request.method, ...body, ...signal });
    const { model, name, source, destination } = Body.parse(text === "" ? {} : JSON.parse(text));
    const route = `${request.method} ${pathname}`;
    const named = model || name || source;
    this.forwarded.push({ route, atMs: Date.now(), model: named, destination, status: answer.status });
    const { fault } = this;
    if (fault?.kind === "slow") await Bun.sleep(fault.ms);
    const type = answer.headers.get("content-type") ?? "application/json";
    return new Response(answer.body, { status: answer.status, headers: { "content-type": type } });
  }
}
