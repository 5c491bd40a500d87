// The checks of `gpu-agent doctor` on the box itself: name, state directory, ledger, Ollama, the models' disk, registries.
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { about, type Check } from "../base/check.ts";
import { asCourierError, systemCode } from "../base/errors.ts";
import { formatBytes } from "../base/format.ts";
import { ANY_REGISTRY } from "../program/registry/registry_host.ts";
import type { Disk } from "../protocol.ts";
import { keyPath, readKey } from "../trust/key_file.ts";
import type { ModelsFolder, Unknown } from "./disk/models_folder.ts";
import { examineLedger } from "./ledger/check.ts";
import type { Ollama } from "./ollama/ollama.ts";
import { agentName } from "./presence/identity.ts";
import { checkTrustedKeys } from "./trust/check.ts";

export interface BoxUnderExamination {
  /** As given on the command line. */
  readonly name: string | undefined;
  readonly stateDir: string;
  readonly trustedKeys: string | undefined;
  readonly ollama: Pick<Ollama, "version" | "listModels">;
  readonly models: Pick<ModelsFolder, "look" | "unknown">;
  /** Those that pulls may use, as `AllowedRegistries` takes them. */
  readonly registries: readonly string[];
  readonly signal: AbortSignal;
}

/** Even a small model has a few GB. */
const LITTLE_BYTES = 10_000_000_000;

export async function* examineBox(box: BoxUnderExamination): AsyncGenerator<Check> {
  const { name, stateDir, trustedKeys, models, registries } = box;
  yield checkName(name);
  yield checkStateDir(stateDir);
  yield checkOwnKey(stateDir);
  yield* examineLedger(stateDir);
  if (trustedKeys !== undefined) yield checkTrustedKeys(trustedKeys, agentUser(stateDir));
  yield await checkOllama(box);
  yield checkDisk(await models.look(), models.unknown);
  yield checkRegistries(registries);
}

/** The agent's user; undefined before its first start. */
export function agentUser(stateDir: string): number | undefined {
  return statSync(stateDir, { throwIfNoEntry: false })?.uid;
}

/** The file in which the agent remembers the share's file system; undefined before the agent's first start. */
export function rememberedFileSystem(stateDir: string): string | undefined {
  const file = join(stateDir, "file-system");
  return existsSync(file) ? file : undefined;
}

function checkName(given: string | undefined): Check {
  const check = about("name");
  try {
    return check.ok(`This agent's name is ${agentName(given)}`);
  } catch (error) {
    return check.failedBy(error);
  }
}

function checkStateDir(dir: string): Check {
  const check = about("state_dir");
  const hint = "Set --state-dir to a folder that this user can write to, or run doctor as the agent's user";
  try {
    const place = nearest(dir);
    if (!statSync(place).isDirectory()) return check.failed(`${place} is not a directory`, hint);
    accessSync(place, constants.W_OK | constants.X_OK);
    return check.ok(place === dir ? `${dir} is writable` : `${dir} will be created at the first start`);
  } catch (error) {
    return check.failed(`${dir} cannot be used: ${systemCode(error) ?? String(error)}`, hint);
  }
}

function checkOwnKey(stateDir: string): Check {
  const check = about("own_key");
  try {
    const key = readKey(keyPath(stateDir));
    return check.ok(
      key === null ? "It will be created at the first start" : `States are signed with the key ${key.id}`,
    );
  } catch (error) {
    return check.failedBy(error);
  }
}

/** The folder itself, or the deepest existing one above it. */
function nearest(dir: string): string {
  return existsSync(dir) || dir === dirname(dir) ? dir : nearest(dirname(dir));
}

async function checkOllama({ ollama, signal }: BoxUnderExamination): Promise<Check> {
  const check = about("ollama");
  try {
    const version = await ollama.version(signal);
    const models = await ollama.listModels(signal);
    return check.ok(`Ollama ${version} responds, with ${models.length} ${models.length === 1 ? "model" : "models"}`);
  } catch (error) {
    const { message, hint } = asCourierError(error);
    return check.failed(message, hint ?? "On this machine: systemctl status ollama; journalctl -u ollama");
  }
}

function checkDisk(disk: Disk | null, unknown: Unknown | null): Check {
  const check = about("models_disk");
  if (disk === null) return check.warning(`Unknown: ${unknown?.message ?? ""}`, unknown?.hint);
  const message = `${formatBytes(disk.free_bytes)} of ${formatBytes(disk.total_bytes)} free for ${disk.path}`;
  if (disk.free_bytes >= LITTLE_BYTES) return check.ok(message);
  return check.warning(message, "Remove a model, or set OLLAMA_MODELS to a folder on a larger disk");
}

function checkRegistries(allowed: readonly string[]): Check {
  const check = about("registries");
  if (!allowed.includes(ANY_REGISTRY)) return check.ok(`Pulls may use ${allowed.join(", ")}`);
  return check.warning(
    "Pulls may use any registry: anyone who can write to the share can make this machine connect to any host",
    "Name the registries with --allow-registry instead of *",
  );
}
