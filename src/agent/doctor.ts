// `gpu-agent doctor`: checks this box, then the share and the agents on it, and prints the report.
import type { Check } from "../base/check.ts";
import { systemClock, within } from "../base/clock.ts";
import { jsonText } from "../base/invisible.ts";
import { silentLog } from "../base/log.ts";
import { Courier } from "../courier.ts";
import { examine, printChecks, type Report } from "../doctor/report.ts";
import { colored, plain, welcomesColor } from "../program/style.ts";
import type { Transport } from "../transport.ts";
import { KeptRoster, rosterPath } from "../trust/roster/kept_roster.ts";
import { operatorKeysFile } from "../trust/roster/operator_keys.ts";
import { ModelsFolder } from "./disk/models_folder.ts";
import { agentUser, examineBox } from "./examine.ts";
import { Ollama } from "./ollama/ollama.ts";
import { parseOllamaUrl } from "./ollama/url.ts";
import { examineOwnMirror } from "./pulls/mirror/examine.ts";
import type { AgentSettings } from "./run.ts";
import { checkShareTime } from "./trust/check.ts";
import { ShareTimeFile } from "./trust/share_time_file.ts";

type DoctorSettings = Pick<
  AgentSettings,
  | "name"
  | "address"
  | "stateDir"
  | "trustedKeys"
  | "operatorKeys"
  | "ollamaUrl"
  | "modelsDir"
  | "allowedRegistries"
  | "insecureRegistries"
  | "mirror"
  | "mirrorSource"
  | "requireSignatures"
>;

export interface DoctorSurroundings {
  /** Not connected yet; closed when the report is printed. */
  readonly transport: Transport;
  readonly stop: AbortSignal;
  readonly json: boolean;
}

/** How long doctor waits for a response of an agent, and of Ollama. */
const TIMEOUT_MS = 10_000;
const CLOSE_MS = 2_000;

/** @returns the exit status: 1 when a check failed */
export async function runDoctor(
  settings: DoctorSettings,
  { transport, stop, json }: DoctorSurroundings,
): Promise<number> {
  const { name, address, stateDir, trustedKeys, operatorKeys, ollamaUrl, modelsDir } = settings;
  const { allowedRegistries, insecureRegistries } = settings;
  const registries = [...allowedRegistries, ...insecureRegistries];
  const ollama = new Ollama({ url: parseOllamaUrl(ollamaUrl), requestTimeoutMs: TIMEOUT_MS });
  const courier = new Courier(transport, { sender: "doctor", timeoutMs: TIMEOUT_MS });
  const listing = { models: null, listModels: async () => await ollama.listModels(stop) };
  const models = new ModelsFolder({ modelsDir, listing, clock: systemClock, log: silentLog });
  const checks = async function* (): AsyncGenerator<Check> {
    yield* examineBox({ name, stateDir, trustedKeys, ollama, models, registries, signal: stop });
    const roster = rosterOf(stateDir, operatorKeys);
    yield* examine({ transport, courier, roster, keepsKeys: false, signal: stop });
    if ((trustedKeys ?? operatorKeys) !== undefined)
      yield* examineShareTime(new ShareTimeFile(stateDir, address), transport);
    yield* examineOwnMirror(settings, roster, systemClock);
  };
  try {
    return await printChecks(checks(), stdoutReport(json), stop);
  } finally {
    // The report is complete: the agents' cleanup removes what a hung share keeps.
    const closed = courier.close().then(async () => await transport.close());
    await within(
      systemClock,
      CLOSE_MS,
      closed.catch(() => undefined),
      null,
    );
  }
}

/** No check of a share that cannot be used: the checks above report that. */
async function* examineShareTime(file: ShareTimeFile, transport: Transport): AsyncGenerator<Check> {
  const isThere = await transport.connect().then(
    () => true,
    () => false,
  );
  if (isThere) yield checkShareTime(file, transport.now());
}

function rosterOf(stateDir: string, operatorKeys: string | undefined): (() => KeptRoster) | null {
  if (operatorKeys === undefined) return null;
  const operators = operatorKeysFile(operatorKeys, agentUser(stateDir));
  return () => new KeptRoster({ operators, path: rosterPath(stateDir), clock: systemClock, log: silentLog });
}

/** Waits for each write: a process that ends drops what a slow pipe has not taken. */
function stdoutReport(json: boolean): Report {
  const { stdout } = process;
  const write = async (text: string): Promise<void> => {
    await new Promise<void>((resolve) => stdout.write(text, () => resolve()));
  };
  return {
    json,
    // A terminal that does not know its size reports 0.
    width: stdout.isTTY ? stdout.columns || 80 : Number.POSITIVE_INFINITY,
    paint: stdout.isTTY && welcomesColor() ? colored : plain,
    text: write,
    document: async (document) => await write(`${jsonText(document, stdout.isTTY ? 2 : undefined)}\n`),
  };
}
