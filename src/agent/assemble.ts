// Builds the agent from its settings and the outside world: each part in one literal, in the order of what needs what.
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { Outage } from "../base/outage.ts";
import type { DiskReserve } from "../program/disk_reserve.ts";
import { Protection } from "../program/protection.ts";
import type { AllowedRegistries } from "../program/registry/allowed_registries.ts";
import { RateLimit } from "../program/registry/rate_limit.ts";
import type { ServiceManager } from "../program/service_manager.ts";
import type { Labels, Platform } from "../protocol.ts";
import type { MirrorReader } from "../transport/mirror/reading/reader.ts";
import type { Transport } from "../transport.ts";
import type { SigningKey } from "../trust/keys.ts";
import type { SignatureMode } from "../trust/requirement.ts";
import { KeptRoster } from "../trust/roster/kept_roster.ts";
import { operatorKeysFile } from "../trust/roster/operator_keys.ts";
import { RosterReading } from "../trust/roster/take_roster.ts";
import { TrustedSenders } from "../trust/roster/trusted_senders.ts";
import { TrustedKeysFile } from "../trust/trusted_keys_file.ts";
import { Agent } from "./agent.ts";
import { Box } from "./box.ts";
import { Changes } from "./changes.ts";
import { Activity } from "./commands/activity.ts";
import { Gathering } from "./commands/gathering.ts";
import { FIRST_INBOXES, Intake } from "./commands/intake.ts";
import { LeavingVerbs } from "./commands/leaving.ts";
import { Verbs } from "./commands/verbs.ts";
import { Verifier } from "./commands/verify.ts";
import { Worker } from "./commands/worker.ts";
import { ModelsFolder } from "./disk/models_folder.ts";
import { PulledBlobs } from "./disk/pulled_blobs.ts";
import type { Ledger } from "./ledger/ledger.ts";
import { LedgerUpkeep } from "./ledger/upkeep.ts";
import { LateCommands } from "./models/late_commands.ts";
import { Loads } from "./models/loads.ts";
import { OllamaMonitor } from "./ollama/monitor.ts";
import type { Ollama } from "./ollama/ollama.ts";
import { BootCounter, type BootFile } from "./presence/boot_counter.ts";
import { Condition } from "./presence/condition.ts";
import type { DrainFile } from "./presence/drain_file.ts";
import { Heartbeat } from "./presence/heartbeat.ts";
import type { Identity } from "./presence/identity.ts";
import { MetricsFile } from "./presence/metrics_file.ts";
import { NameGuard } from "./presence/name_guard.ts";
import { NameWait } from "./presence/name_wait.ts";
import { Presence } from "./presence/presence.ts";
import { type ServingMode, SharedInboxElection } from "./presence/shared_inbox.ts";
import { StateDocument } from "./presence/state_document.ts";
import { StatePublisher } from "./presence/state_publisher.ts";
import { StatusLine } from "./presence/status_line.ts";
import type { PullLimits } from "./pulls/attempts.ts";
import { Fetches } from "./pulls/fetches/fetches.ts";
import type { FetchSource } from "./pulls/fetches/mirror_fetch.ts";
import type { HostNames } from "./pulls/host_names.ts";
import { Jobs } from "./pulls/jobs.ts";
import { LimitedSources, type LimitedSourcesDeps } from "./pulls/limits/limited_sources.ts";
import { type PullWindow, PullWindows } from "./pulls/limits/pull_windows.ts";
import { LeftHelpers } from "./pulls/mirror/left_helpers.ts";
import { MirroredOllama } from "./pulls/mirror/mirrored_ollama.ts";
import type { BytesFinder } from "./pulls/mirror/model_bytes.ts";
import { SignedCopies } from "./pulls/mirror/signed_copies.ts";
import { Sources, type SourcesDeps } from "./pulls/mirror/sources.ts";
import { Preflight, type PreflightDeps } from "./pulls/preflight.ts";
import { Sweeping } from "./sweeping.ts";
import { ShareTime } from "./trust/share_time.ts";
import type { ShareTimeFile } from "./trust/share_time_file.ts";
import { TrustedKeysWatch } from "./trust/trusted_keys_watch.ts";

export interface AgentParts {
  readonly identity: Identity;
  readonly agentVersion: string;
  readonly labels: Labels;
  readonly platform: Platform;
  readonly transport: Transport;
  readonly ollama: Pick<
    Ollama,
    | "version"
    | "listModels"
    | "listRunning"
    | "showModel"
    | "pullModel"
    | "deleteModel"
    | "copyModel"
    | "loadModel"
    | "unloadModel"
    | "listHelpers"
    | "hasHelpers"
  >;
  readonly ledger: Ledger;
  readonly sharedInbox: ServingMode;
  readonly listTtlMs: number;
  readonly changeTtlMs: number;
  /** As `ModelsFolder` takes it. */
  readonly modelsDir: string | null | undefined;
  readonly registries: Pick<AllowedRegistries, "requireAllowed">;
  /** Null: pulls begin without asking how large they are. */
  readonly registry: PreflightDeps["registry"];
  /** Where pulls find models; null: nowhere. */
  readonly mirror: (Omit<SourcesDeps, "log" | "mirror" | "signed"> & { readonly mirror: MirrorReader }) | null;
  /** Brings models into the mirror for the others; null: it does not. */
  readonly mirrorSource: FetchSource | null;
  /** The most that all pulls together may fetch, and how; null: as fast as it goes. */
  readonly pullRate: PullRate | null;
  /** How much space pulls leave free on the models' disk. */
  readonly diskReserve: DiskReserve;
  /** Patterns of models that no command may delete or overwrite. */
  readonly protect: readonly string[];
  /** Which commands must be signed. */
  readonly requireSignatures: SignatureMode;
  /** The path of the file with the keys that may sign them; without one and without operators the mode is `off`. */
  readonly trustedKeys: string | null;
  /** The paths of the file with the operators' keys, and of the roster that is kept; null: the box trusts no operator. */
  readonly operators: { readonly keys: string; readonly roster: string } | null;
  /** Signs its states and responses; null: they are not signed. */
  readonly key: SigningKey | null;
  readonly bootFile: BootFile;
  /** Where the latest time of the share is kept. */
  readonly shareTimeFile: Pick<ShareTimeFile, "exists" | "read" | "write">;
  /** Asks it to leave the transport; null: nobody can. */
  readonly drainFile: Pick<DrainFile, "clear" | "asked" | "done"> | null;
  /** Where its metrics are written for node_exporter; null: nowhere. */
  readonly metricsFile: string | null;
  readonly maxPulls: number;
  /** None: pulls may run at any time. */
  readonly pullWindows: readonly PullWindow[];
  readonly pullLimits: PullLimits;
  readonly hostNames: Pick<HostNames, "isMissing">;
  /** Learns when the agent is ready, its condition, and that its loops are alive. */
  readonly service: ServiceManager;
  readonly clock: Clock;
  readonly log: Log;
}

/** @throws CourierError `invalid` for a pattern of `protect` that no model's name can match */
export function assemble(parts: AgentParts): Agent {
  const common = assembleCommon(parts);
  const work = assembleWork(parts, common);
  const reporting = assembleReporting(parts, common, work);
  const commands = assembleCommands(parts, common, work, reporting);
  const upkeep = assembleUpkeep(parts, common, work);
  const presence = assemblePresence(parts, common, work, reporting, commands);
  const { identity, transport, service, clock, log } = parts;
  const sweeping = new Sweeping({ transport, condition: common.condition, clock, log });
  return new Agent({
    identity,
    transport,
    condition: common.condition,
    name: reporting.name,
    boots: reporting.boots,
    changes: common.changes,
    state: reporting.state,
    statusLine: reporting.statusLine,
    intake: commands.intake,
    worker: commands.worker,
    jobs: work.jobs,
    fetches: work.fetches,
    upkeep,
    loops: [presence, work.monitor, work.box, work.left, sweeping, upkeep, ...assembleTrustLoops(parts, common)],
    metricsFile: reporting.metricsFile,
    drainFile: parts.drainFile,
    outage: common.outage,
    service,
    clock,
    log,
  });
}

/** The parts that connect the others without knowing them. */
function assembleCommon(parts: AgentParts) {
  const { identity, ledger, service, transport, shareTimeFile: file, requireSignatures: mode, clock, log } = parts;
  const { agent } = identity;
  const { keys, roster } = assembleSenders(parts);
  const changes = new Changes();
  // Without required signatures anybody may write a command that is in time.
  const isRequired = keys !== null && mode !== "warn";
  const shareTime = isRequired ? new ShareTime({ agent, file, transport, changes, clock, log }) : null;
  return {
    keys,
    roster,
    shareTime,
    outage: new Outage({ clock, log }),
    changes,
    heartbeat: new Heartbeat(["state", "Ollama", "ledger"], service),
    condition: new Condition(agent, shareTime === null || keys === null ? [ledger] : [ledger, keys, shareTime]),
  };
}
type Common = ReturnType<typeof assembleCommon>;

/** Whose commands run. Null: signatures are not looked at. */
function assembleSenders({ requireSignatures: mode, trustedKeys, operators, clock, log }: AgentParts) {
  if (mode === "off" || (trustedKeys === null && operators === null)) return { keys: null, roster: null };
  const file = trustedKeys === null ? null : new TrustedKeysFile(trustedKeys);
  const roster =
    operators === null
      ? null
      : new KeptRoster({ operators: operatorKeysFile(operators.keys), path: operators.roster, clock, log });
  return { keys: new TrustedSenders({ file, roster }), roster };
}

/** The parts that deal with Ollama and the box, and know of no transport. */
function assembleWork(parts: AgentParts, common: Common) {
  const { identity, ollama, ledger, registries, mirror, diskReserve, clock, log } = parts;
  const { agent } = identity;
  const { changes, heartbeat } = common;
  const sources = mirror === null ? null : assembleMirror(mirror, parts, common);
  const registry = parts.registry === null ? null : (sources ?? parts.registry);
  const pulls = new MirroredOllama({ ollama, sources: limitedBy(parts.pullRate, sources, clock), log });
  const monitor = new OllamaMonitor({ ollama, clock, log, changes, heartbeat });
  const models = new ModelsFolder({ modelsDir: parts.modelsDir, listing: monitor, clock, log });
  const box = new Box({ models, changes, clock, nvidiaSmi: Bun.which("nvidia-smi"), meminfo: "/proc/meminfo" });
  const preflight = new Preflight({ agent, registry, box, diskReserve, clock });
  const protection = new Protection(agent, parts.protect);
  const jobs = new Jobs({
    agent,
    ledger,
    ollama: pulls,
    blobs: new PulledBlobs(models, clock),
    models,
    registries,
    preflight,
    monitor,
    changes,
    maxPulls: parts.maxPulls,
    windows: new PullWindows(parts.pullWindows),
    limits: parts.pullLimits,
    hostNames: parts.hostNames,
    clock,
    log,
  });
  const left = new LeftHelpers({ ollama, pulls, jobs, clock });
  const { mirrorSource: source } = parts;
  const fetches = source === null ? null : new Fetches({ source, ledger, changes, clock, log });
  const asked = parts.mirror?.mode === "only" ? null : parts.registry;
  return { monitor, box, jobs, fetches, models, registries, asked, preflight, protection, left };
}
type Work = ReturnType<typeof assembleWork>;

interface PullRate extends Omit<LimitedSourcesDeps, "sources" | "limit"> {
  readonly bytesPerSecond: number;
}

function limitedBy(rate: PullRate | null, sources: Sources | null, clock: Clock): BytesFinder | null {
  if (rate === null) return sources;
  return new LimitedSources({ ...rate, sources, limit: new RateLimit(rate.bytesPerSecond, clock) });
}

function assembleMirror(
  given: NonNullable<AgentParts["mirror"]>,
  { requireSignatures: mode, clock, log }: AgentParts,
  { keys }: Common,
) {
  const { mirror } = given;
  const isRequired = mode === "changing" || mode === "all";
  const signed = isRequired && keys !== null ? new SignedCopies({ mirror, keys, clock }) : null;
  return new Sources({ ...given, signed, log });
}

/** The parts that show the agent's condition: to the share, and to the service manager. */
function assembleReporting(parts: AgentParts, { outage, condition }: Common, { monitor, box, jobs, fetches }: Work) {
  const { identity, transport, key, bootFile: file, service, clock, log } = parts;
  const { agent } = identity;
  const activity = new Activity(clock);
  const document = new StateDocument({ about: parts, condition, activity, monitor, jobs, fetches, box });
  const boots = new BootCounter({ agent, key, document, file, transport, log });
  const statusLine = new StatusLine({ agent, service, transport, outage, condition, monitor, jobs });
  const name = new NameWait({ identity, key, transport, condition, statusLine, service, clock, log });
  const guard = new NameGuard({ identity, key, document, wait: name, condition, transport, clock, log });
  const state = new StatePublisher({ agent, transport, document, guard, outage, clock });
  const shown = { about: parts, condition, activity, monitor, jobs, fetches, box, transport, outage, clock, log };
  const metricsFile = parts.metricsFile === null ? null : new MetricsFile({ path: parts.metricsFile, ...shown });
  return { activity, boots, name, guard, state, statusLine, metricsFile };
}
type Reporting = ReturnType<typeof assembleReporting>;

/** The parts that take commands and answer them. */
function assembleCommands(
  { identity, key, listTtlMs, changeTtlMs, requireSignatures: mode, transport, ollama, ledger, clock, log }: AgentParts,
  { keys, shareTime, outage, condition }: Common,
  { jobs, fetches, monitor, models, registries, asked, preflight, protection }: Work,
  { activity, state }: Reporting,
) {
  const late = new LateCommands({ jobs, ledger, log });
  const verbs = new Verbs({
    jobs,
    fetches,
    ollama,
    monitor,
    models,
    registries,
    registry: asked,
    preflight,
    protection,
    late,
    loads: new Loads(),
    clock,
  });
  const validity = { agent: identity.agent, listTtlMs, changeTtlMs };
  const verifier = new Verifier({ validity, mode, keys, shareTime, transport, clock, log });
  const gathering = new Gathering(clock, FIRST_INBOXES);
  const worker = new Worker({
    transport,
    identity,
    key,
    ledger,
    verbs: new LeavingVerbs(verbs, identity.agent, condition),
    state,
    activity,
    gathering,
    verifier,
    clock,
    log,
  });
  const intake = new Intake({ agent: identity.agent, transport, worker, gathering, outage, condition });
  return { worker, intake };
}
type Commands = ReturnType<typeof assembleCommands>;

/** The loops that follow the keys, the roster and the share's time. */
function assembleTrustLoops(parts: AgentParts, { keys, roster, shareTime, changes }: Common) {
  const { transport, clock, log } = parts;
  return [
    ...(keys === null ? [] : [new TrustedKeysWatch({ keys, changes, clock, log })]),
    ...(roster === null ? [] : [new RosterReading({ transport, kept: roster, clock, log })]),
    ...(shareTime === null ? [] : [shareTime]),
  ];
}

function assembleUpkeep(
  { ledger, transport, clock, log }: AgentParts,
  common: Common,
  { jobs, fetches }: Work,
): LedgerUpkeep {
  const { changes, heartbeat } = common;
  const kept = fetches === null ? [jobs] : [jobs, fetches];
  return new LedgerUpkeep({ ledger, transport, kept, changes, heartbeat, clock, log });
}

function assemblePresence(
  { identity, sharedInbox, requireSignatures: mode, transport, clock, log }: AgentParts,
  { condition, changes, heartbeat }: Common,
  { monitor }: Work,
  { boots, name, guard, state, statusLine }: Reporting,
  { intake }: Commands,
): Presence {
  return new Presence({
    identity,
    sharedInbox,
    transport,
    condition,
    guard,
    name,
    boots,
    election: new SharedInboxElection({ transport, clock, log }, mode === "changing" || mode === "all"),
    intake,
    monitor,
    state,
    statusLine,
    changes,
    heartbeat,
    clock,
    log,
  });
}
