// Runs the agent with its settings until it is stopped.

import { hostname } from "node:os";
import { isoTime, systemClock } from "../base/clock.ts";
import { asCourierError, CourierError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { defaultReserve, parseDiskReserve } from "../program/disk_reserve.ts";
import { VERSION } from "../program/flags.ts";
import { AllowedRegistries } from "../program/registry/allowed_registries.ts";
import { Registry } from "../program/registry/registry.ts";
import type { ServiceManager } from "../program/service_manager.ts";
import type { Labels } from "../protocol.ts";
import { Mirror } from "../transport/mirror/mirror.ts";
import { ratedSource } from "../transport/mirror/rated_source.ts";
import { RegistrySource } from "../transport/mirror/registry_source.ts";
import type { Transport } from "../transport.ts";
import { ensureKey, keyPath, readKey } from "../trust/key_file.ts";
import type { SigningKey } from "../trust/keys.ts";
import type { SignatureMode } from "../trust/requirement.ts";
import { rosterPath } from "../trust/roster/kept_roster.ts";
import { type AgentParts, assemble } from "./assemble.ts";
import { Ledger } from "./ledger/ledger.ts";
import { Ollama } from "./ollama/ollama.ts";
import { parseOllamaUrl } from "./ollama/url.ts";
import { BootFile } from "./presence/boot_counter.ts";
import { DrainFile } from "./presence/drain_file.ts";
import { agentName, openStateDir, readInstance } from "./presence/identity.ts";
import type { ServingMode } from "./presence/shared_inbox.ts";
import type { PullLimits } from "./pulls/attempts.ts";
import { MirrorSource } from "./pulls/fetches/mirror_source.ts";
import { HostNames } from "./pulls/host_names.ts";
import type { PullWindow } from "./pulls/limits/pull_windows.ts";
import { filledShare, type MirrorSettings, openMirror } from "./pulls/mirror/open_mirror.ts";
import { ShareTimeFile } from "./trust/share_time_file.ts";

export interface AgentSettings {
  /** Of the share, in one spelling. */
  readonly address: string;
  /** Undefined: the short host name. */
  readonly name: string | undefined;
  readonly labels: Labels;
  readonly stateDir: string;
  /** In any form that Ollama accepts in `OLLAMA_HOST`. */
  readonly ollamaUrl: string;
  /** Undefined: the folder where Ollama's installer puts the models. */
  readonly modelsDir: string | undefined;
  /** Pulls from others are refused; `*`: from none. */
  readonly allowedRegistries: readonly string[];
  /** They are allowed as well. */
  readonly insecureRegistries: readonly string[];
  /** False: pulls begin without asking the registry how large they are. */
  readonly preflight: boolean;
  /** The most that all pulls together may fetch, in bytes per second; undefined: as fast as it goes. */
  readonly pullRate: number | undefined;
  /** Pulls from these registries go past that rate. */
  readonly pullRateSkipped: readonly string[];
  /** Whether pulls use a mirror, and where it is. */
  readonly mirror: MirrorSettings;
  /** Whether it fetches models into the mirror, and at most how fast in bytes per second. */
  readonly mirrorSource: boolean;
  readonly fetchRate: number | null;
  /** Such as `5%` or `20GB`; undefined: the default. */
  readonly diskReserve: string | undefined;
  /** Patterns of models that no command may delete or overwrite. */
  readonly protect: readonly string[];
  /** Whose signed commands run. Undefined: signatures are not looked at. */
  readonly trustedKeys: string | undefined;
  /** Whose rosters add senders, and revoke some. */
  readonly operatorKeys: string | undefined;
  /** Undefined: `changing` with trusted keys or operator keys, otherwise `off`. */
  readonly requireSignatures: SignatureMode | undefined;
  /** Where its metrics are written for node_exporter. */
  readonly metricsFile: string | undefined;
  /** How many pulls run at a time. */
  readonly maxPulls: number;
  /** When pulls may run; none: at any time. */
  readonly pullWindows: readonly PullWindow[];
  /** A pull connects again after this time without a byte. */
  readonly stallMs: number;
  readonly pullLimits: PullLimits;
  readonly sharedInbox: ServingMode;
  /** How old a version 1 list, and a version 1 pull or delete, may be. */
  readonly listTtlMs: number;
  readonly changeTtlMs: number;
}

export interface AgentSurroundings {
  /** Not connected yet; closed when the agent stops. */
  readonly transport: Transport;
  readonly service: ServiceManager;
  readonly log: Log;
  readonly stop: AbortSignal;
  /** Replaces parts of the agent before it is built: for tests that crash it. */
  readonly around?: ((parts: AgentParts) => AgentParts) | undefined;
}

/**
 * Serves until `stop` aborts, then drains.
 * @throws CourierError `invalid` for a setting that cannot be used; `conflict` when another agent has the state directory;
 *   `exhausted` and `forbidden` when the state directory or the key in it cannot be used
 */
export async function runAgent(
  settings: AgentSettings,
  { transport, service, log, stop, around = (parts) => parts }: AgentSurroundings,
): Promise<void> {
  stop.addEventListener("abort", () => service.stopping());
  const { stateDir } = settings;
  const ledger = new Ledger(stateDir, { isFirst: !openStateDir(stateDir) });
  try {
    const parts = agentParts(settings, { transport, ledger, service, log });
    await assemble(around(parts)).run(stop);
  } finally {
    ledger.close();
  }
}

function agentParts(
  settings: AgentSettings,
  { transport, ledger, service, log }: Pick<AgentParts, "transport" | "ledger" | "service" | "log">,
): AgentParts {
  const { ollamaUrl, allowedRegistries: allowed, insecureRegistries, stallMs, diskReserve } = settings;
  const startedAt = isoTime(systemClock.now());
  const agent = agentName(settings.name);
  const registries = new AllowedRegistries({ agent, allowed, insecure: insecureRegistries });
  return {
    identity: { agent, instance: readInstance(settings.stateDir), host: hostname(), startedAt },
    agentVersion: VERSION,
    labels: settings.labels,
    platform: { os: process.platform, arch: process.arch },
    transport,
    ollama: new Ollama({ url: parseOllamaUrl(ollamaUrl), machine: agent, insecureRegistries, stallMs }),
    ledger,
    registries,
    registry: settings.preflight ? new Registry({ registries }) : null,
    mirror: mirrorOf(settings, new Registry({ registries })),
    mirrorSource: sourceOf(settings, registries),
    ...limitsOfPulls(settings, registries),
    diskReserve: diskReserve === undefined ? defaultReserve : parseDiskReserve(diskReserve),
    protect: settings.protect,
    ...signatureSettings(settings),
    ...ownSignature(settings.stateDir, log),
    shareTimeFile: new ShareTimeFile(settings.stateDir, settings.address),
    drainFile: new DrainFile(settings.stateDir, systemClock),
    metricsFile: settings.metricsFile ?? null,
    maxPulls: settings.maxPulls,
    pullLimits: settings.pullLimits,
    hostNames: new HostNames(insecureRegistries),
    sharedInbox: transport.hasSharedInbox ? settings.sharedInbox : "off",
    listTtlMs: settings.listTtlMs,
    changeTtlMs: settings.changeTtlMs,
    modelsDir: settings.modelsDir,
    service,
    clock: systemClock,
    log,
  };
}

/** The limits of pulls in time and rate. */
function limitsOfPulls(
  { pullRate: bytesPerSecond, pullRateSkipped: skipped, pullWindows }: AgentSettings,
  registries: AllowedRegistries,
): Pick<AgentParts, "pullRate" | "pullWindows"> {
  const registry = new RegistrySource({ registries });
  return { pullWindows, pullRate: bytesPerSecond === undefined ? null : { bytesPerSecond, skipped, registry } };
}

function mirrorOf({ mirror, address }: AgentSettings, registry: Registry): AgentParts["mirror"] {
  const found = openMirror(mirror, address, systemClock);
  return found === null || mirror.mode === "off" ? null : { mode: mirror.mode, mirror: found.mirror, registry };
}

function sourceOf(
  { mirror, mirrorSource, fetchRate: bytesPerSecond, address }: AgentSettings,
  registries: AllowedRegistries,
): AgentParts["mirrorSource"] {
  if (!mirrorSource) return null;
  const source = ratedSource(new RegistrySource({ registries }), bytesPerSecond, systemClock);
  return new MirrorSource({
    mirror: new Mirror(filledShare(mirror, address)),
    source,
    clock: systemClock,
  });
}

function signatureSettings({ trustedKeys, operatorKeys, requireSignatures, stateDir }: AgentSettings) {
  const hasKeys = trustedKeys !== undefined || operatorKeys !== undefined;
  const mode = requireSignatures ?? (hasKeys ? "changing" : "off");
  const operators = operatorKeys === undefined ? null : { keys: operatorKeys, roster: rosterPath(stateDir) };
  if (mode === "off" || hasKeys) return { requireSignatures: mode, trustedKeys: trustedKeys ?? null, operators };
  throw new CourierError("invalid", `Cannot use --require-signatures ${mode} without trusted keys`, {
    hint: "Name their file: --trusted-keys /etc/gpu-courier/trusted_keys, or --operator-keys with the keys of a roster's signers",
  });
}

/** A full disk stops no agent: without a key it signs nothing, and its ledger shows the same trouble. */
function ownSignature(stateDir: string, log: Log): { readonly key: SigningKey | null; readonly bootFile: BootFile } {
  const path = keyPath(stateDir);
  const bootFile = new BootFile(stateDir, readKey(path) === null);
  try {
    return { key: ensureKey(path), bootFile };
  } catch (error) {
    const { code, message } = asCourierError(error);
    if (code !== "exhausted") throw error;
    log.error(
      { hint: "Free space on its disk and restart the agent" },
      `${message}: states and responses are not signed`,
    );
    return { key: null, bootFile };
  }
}
