// Boxes on one share, each an Ollama and an agent in a network namespace of their own: from there no registry can be reached.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { OllamaProcess } from "#tests/process/site/ollama_process.ts";
import { type ProcessSite, type Running, until } from "#tests/process/site/site.ts";
import { Namespace } from "./namespace.ts";

const AGENT_SOURCE = join(import.meta.dir, "../../../src/agent.ts");
const LISTENING_WITHIN_MS = 60_000;

export class Box implements AsyncDisposable {
  readonly name: string;
  readonly ollama: OllamaProcess;
  agent: Running;
  readonly #site: ProcessSite;
  readonly #namespace: Namespace;
  readonly #args: readonly string[];

  private constructor(
    name: string,
    site: ProcessSite,
    namespace: Namespace,
    ollama: OllamaProcess,
    args: readonly string[],
  ) {
    this.name = name;
    this.ollama = ollama;
    this.#site = site;
    this.#namespace = namespace;
    this.#args = args;
    this.agent = this.#startAgent();
  }

  /** Resolves when its agent has reached its Ollama. @param args further ones of the agent */
  static async open(site: ProcessSite, name: string, args: readonly string[] = []): Promise<Box> {
    const home = join(site.dir, `ollama-${name}`);
    mkdirSync(home);
    const namespace = await Namespace.open();
    const ollama = new OllamaProcess(home, namespace.entry);
    await ollama.start();
    const box = new Box(name, site, namespace, ollama, args);
    await box.#ready();
    return box;
  }

  async killAgent(): Promise<void> {
    await this.agent.stop("SIGKILL");
    this.agent = this.#startAgent();
    await this.#ready();
  }

  async killOllama(): Promise<void> {
    await this.ollama.kill();
    await this.ollama.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ollama.kill();
    await this.agent.stop("SIGKILL");
    await this.#namespace[Symbol.asyncDispose]();
  }

  #startAgent(): Running {
    const command = [...this.#namespace.entry, process.execPath, AGENT_SOURCE];
    const args = ["--ollama-models", this.ollama.modelsDir, "--preflight", "on", ...this.#args];
    return this.#site.startAgent(this.name, this.ollama.url, args, {}, command);
  }

  async #ready(): Promise<void> {
    const isReachable = (): boolean => this.agent.log.includes("Ollama is reachable");
    await until(isReachable, `${this.name} has reached its Ollama`, LISTENING_WITHIN_MS);
  }
}
