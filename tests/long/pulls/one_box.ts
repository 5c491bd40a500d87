// A box whose agent and whose Ollama can be killed, with the only job it has.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Job } from "#src/protocol.ts";
import { OllamaProcess } from "#tests/process/site/ollama_process.ts";
import { RegistrySite } from "#tests/process/site/registry_site.ts";
import { type Running, until } from "#tests/process/site/site.ts";

export const LIMIT_MS = 60_000;
const AGENT = "gpu-1";
const StateWithJobs = z.object({ jobs: z.array(Job) });

export class OneBox implements AsyncDisposable {
  readonly site: RegistrySite;
  readonly ollama: OllamaProcess;

  private constructor(site: RegistrySite, ollama: OllamaProcess) {
    this.site = site;
    this.ollama = ollama;
  }

  /** Without an agent yet. */
  static async open(): Promise<OneBox> {
    const site = await RegistrySite.open();
    const home = join(site.dir, "ollama");
    mkdirSync(home);
    const ollama = new OllamaProcess(home);
    await ollama.start();
    return new OneBox(site, ollama);
  }

  /** @param more further options */
  async startAgent(...more: readonly string[]): Promise<Running> {
    const { url, modelsDir } = this.ollama;
    return await this.site.agent(AGENT, url, ["--ollama-models", modelsDir, ...this.site.insecure, ...more]);
  }

  /** Asks as a legacy backend does, which never learns of its pull again. */
  askForPull(model_name: string): void {
    const command = { command: "pull_model", command_id: "pull_model_1", model_name };
    this.site.write("gpu_commands/pull_model_1.json", command);
  }

  state(): Record<string, unknown> {
    return this.site.state(AGENT);
  }

  /** Undefined: not yet. */
  job(): Job | undefined {
    return StateWithJobs.parse(this.state()).jobs[0];
  }

  /** Resolves when the job has so many bytes. */
  async reaches(bytes: number): Promise<void> {
    await until(() => (this.job()?.completed_bytes ?? 0) >= bytes, `${bytes} bytes are there`, LIMIT_MS);
  }

  async ended(): Promise<Job> {
    const endedJob = (): Job | false => {
      const job = this.job();
      return job !== undefined && job.ended_at !== null && job;
    };
    return await until(endedJob, "the job has ended", LIMIT_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ollama.kill();
    await this.site[Symbol.asyncDispose]();
  }
}
