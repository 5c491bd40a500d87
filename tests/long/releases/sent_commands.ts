// Changing commands as files, each sent again under its id: a repetition gets the recorded response and has no effect.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ProcessSite, until } from "#tests/process/site/site.ts";

const REPLY_TO = "tester";
/** The agent removes a version 1 pull or delete at the age of 5 s: these are older from the start. */
const AGE_MS = 10_000;

export interface ChangingCommand {
  readonly id: string;
  /** Version 1: in the shared inbox, with a claim. */
  readonly version: 1 | 2;
  readonly verb: "pull_model" | "delete_model" | "copy_model";
  readonly model: string;
  readonly destination?: string;
}

export class SentCommands {
  readonly #site: ProcessSite;
  readonly #agent: string;
  readonly #publishedAt = new Date(Date.now() - AGE_MS);
  readonly #responses = new Map<ChangingCommand, string>();

  constructor(site: ProcessSite, agent: string) {
    this.#site = site;
    this.#agent = agent;
    site.write(`gpu_status/${REPLY_TO}/.alive`, "");
  }

  /** Sends a command for the first time. @returns its response */
  async send(command: ChangingCommand): Promise<Record<string, unknown>> {
    const response = await this.#request(command);
    this.#responses.set(command, response);
    return JSON.parse(response);
  }

  /** Sends each command again: the same bytes, with the same mtime. @returns the ids of those answered differently */
  async repeatAll(): Promise<string[]> {
    const differing: string[] = [];
    for (const [command, recorded] of this.#responses)
      if ((await this.#request(command)) !== recorded) differing.push(command.id);
    return differing;
  }

  async #request(command: ChangingCommand): Promise<string> {
    const { id, version } = command;
    const folder = version === 1 ? "gpu_commands" : `gpu_commands/${this.#agent}`;
    const [file, temporary] = [join(this.#site.share, folder, `${id}.json`), `gpu_commands/.tmp/${id}`];
    this.#site.write(temporary, this.#document(command));
    utimesSync(join(this.#site.share, temporary), this.#publishedAt, this.#publishedAt);
    mkdirSync(dirname(file), { recursive: true });
    renameSync(join(this.#site.share, temporary), file);
    const response = join(
      this.#site.share,
      version === 1 ? "gpu_status" : `gpu_status/${REPLY_TO}`,
      `${id}_response.json`,
    );
    await until(() => existsSync(response) && !existsSync(file), `${id} is answered and removed`);
    const text = readFileSync(response, "utf8");
    rmSync(response);
    return text;
  }

  #document({ id, version, verb, model, destination }: ChangingCommand): object {
    const common = { command: verb, command_id: id, timestamp: this.#publishedAt.toISOString(), model_name: model };
    if (version === 1) return common;
    const addressed = { version, agent: this.#agent, reply_to: REPLY_TO, ttl_ms: 3_600_000 };
    return { ...common, ...addressed, ...(destination === undefined ? {} : { arguments: { destination } }) };
  }
}
