// What `gpu-agent doctor` looks at on the box itself: name, state directory, ledger, Ollama, the models' disk.
// Imports the form of a check, agent/*, errors, formats, protocol's types; node:fs for the state directory only.
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { about, type Check } from "../base/check.ts";
import { asCourierError, systemCode } from "../base/errors.ts";
import { formatBytes } from "../base/format.ts";
import type { Disk } from "../protocol.ts";
import type { ModelsFolder, Unknown } from "./disk/models_folder.ts";
import { checkLedger, checkLedgerSetAside } from "./ledger/check.ts";
import type { Ollama } from "./ollama/ollama.ts";
import { agentName } from "./presence/identity.ts";

export interface BoxUnderExamination {
  /** As the command line gives it. */
  readonly name: string | undefined;
  readonly stateDir: string;
  readonly ollama: Pick<Ollama, "version" | "listModels">;
  readonly models: Pick<ModelsFolder, "look" | "unknown">;
  readonly signal: AbortSignal;
}

/** Small models have a few GB. */
const LITTLE_BYTES = 10_000_000_000;

export async function* examineBox(box: BoxUnderExamination): AsyncGenerator<Check> {
  const { name, stateDir, models } = box;
  yield checkName(name);
  yield checkStateDir(stateDir);
  yield* examineLedger(stateDir);
  yield await checkOllama(box);
  yield checkDisk(await models.look(), models.unknown);
}

/** Nothing to tell before the first start. */
function examineLedger(stateDir: string): Check[] {
  const ledger = join(stateDir, "ledger.db");
  if (existsSync(ledger)) return [checkLedger(ledger)];
  try {
    const aside = readdirSync(stateDir).find((name) => name.startsWith("ledger.db.corrupt-"));
    return aside === undefined ? [] : [checkLedgerSetAside(join(stateDir, aside))];
  } catch {
    // No such folder, or closed to this user: the check before says so.
    return [];
  }
}

/** The file that remembers the kind of the share's file system; undefined before the agent's first start. */
export function rememberedFileSystem(stateDir: string): string | undefined {
  const file = join(stateDir, "file-system");
  return existsSync(file) ? file : undefined;
}

function checkName(given: string | undefined): Check {
  const check = about("name");
  try {
    return check.ok(`This box is addressed as ${agentName(given)}`);
  } catch (error) {
    return check.failedBy(error);
  }
}

function checkStateDir(dir: string): Check {
  const check = about("state_dir");
  const hint = "Give --state-dir a folder that this user may write, or run doctor as the agent's user";
  try {
    const place = nearest(dir);
    if (!statSync(place).isDirectory()) return check.failed(`${place} is no folder`, hint);
    accessSync(place, constants.W_OK | constants.X_OK);
    return check.ok(place === dir ? `${dir} may be written` : `${dir} is made at the first start`);
  } catch (error) {
    return check.failed(`${dir} cannot be used: ${systemCode(error) ?? String(error)}`, hint);
  }
}

/** The folder itself, or the deepest one above it that is there. */
function nearest(dir: string): string {
  return existsSync(dir) || dir === dirname(dir) ? dir : nearest(dirname(dir));
}

async function checkOllama({ ollama, signal }: BoxUnderExamination): Promise<Check> {
  const check = about("ollama");
  try {
    const version = await ollama.version(signal);
    const models = await ollama.listModels(signal);
    return check.ok(`Ollama ${version} answers, with ${models.length} ${models.length === 1 ? "model" : "models"}`);
  } catch (error) {
    const { message, hint } = asCourierError(error);
    return check.failed(message, hint ?? "On this box: systemctl status ollama; journalctl -u ollama tells more");
  }
}

function checkDisk(disk: Disk | null, unknown: Unknown | null): Check {
  const check = about("models_disk");
  if (disk === null) return check.warning(`Unknown: ${unknown?.message ?? ""}`, unknown?.hint);
  const message = `${formatBytes(disk.free_bytes)} of ${formatBytes(disk.total_bytes)} free for ${disk.path}`;
  if (disk.free_bytes >= LITTLE_BYTES) return check.ok(message);
  return check.warning(message, "Remove a model, or set OLLAMA_MODELS to a larger disk");
}
