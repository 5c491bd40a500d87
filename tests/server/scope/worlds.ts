// Two fleets that a token for gpu-1 must not be able to tell apart: in one of them there is also gpu-2.
import { type DriftDocument, NOTHING_DESIRED } from "#src/documents/models/desired.ts";
import { FetchStore } from "#src/server/models/mirror/fetch_store.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";
import { active, ended, HIDDEN, OWN, START_MS, type Subject } from "./subjects.ts";

export interface World extends AsyncDisposable {
  readonly server: ServerUnderTest;
  readonly clock: ManualClock;
  /** Sees gpu-1 only. */
  readonly scoped: string;
  readonly own: ScriptedAgent;
  /** gpu-2, where it is. */
  readonly hidden: ScriptedAgent | undefined;
}

export async function openWorld(kind: "with gpu-2" | "without gpu-2"): Promise<World> {
  const clock = new ManualClock(START_MS);
  const drift = [OWN, ...(kind === "with gpu-2" ? [HIDDEN] : [])].map(driftOf);
  const site = new MirrorShare();
  const server = await openServer({
    clock,
    store: new MemoryStore(clock),
    defaultAgent: HIDDEN.agent,
    desired: { ...NOTHING_DESIRED, file: "/etc/fleet.yaml", status: "active", models: drift.length, drift },
    mirrorShare: site.share,
  });
  fillMirror(server, site, kind === "with gpu-2" ? [OWN.agent, HIDDEN.agent] : [OWN.agent]);
  const own = await ScriptedAgent.open(server.store, OWN.agent, { models: [modelOf(OWN.model), modelOf("both:1b")] });
  own.jobs = [active(OWN.agent, 1)];
  own.running = [{ name: OWN.model, size: 1, size_vram: 1, expires_at: "" }];
  await own.publish({ labels: { site: "own" } });
  const hidden = kind === "with gpu-2" ? await openHidden(server) : undefined;
  await server.services.activeModels.set("vision", OWN.model);
  const limits = { expiresAtMs: null, agents: [OWN.agent, "gpu-none"], verbs: null };
  const scoped = server.tokens.add("scoped", "gp", limits);
  await clock.advance(1_000);
  return {
    server,
    clock,
    scoped,
    own,
    hidden,
    async [Symbol.asyncDispose]() {
      await own.close();
      await hidden?.close();
      await server[Symbol.asyncDispose]();
      site[Symbol.dispose]();
    },
  };
}

function driftOf({ agent, model }: Subject): DriftDocument {
  return { agent, model, action: "pull", since: "2026-01-01T00:00:00.000Z", job: null, reason: null };
}

function fillMirror({ database }: ServerUnderTest, site: MirrorShare, agents: readonly string[]): void {
  site.mirrored("registry.ollama.ai/library/both/1b", ["config", "weights"]);
  const fetches = new FetchStore(database);
  fetches.add({ id: OWN.fetch, model: "both:1b", created_at_ms: START_MS, requested_by: "platform" });
  fetches.addPulls(
    OWN.fetch,
    agents.map((agent) => ({ agent, force: 0, now: 0, requested_by: null })),
  );
  const error = `Cannot write the mirror in ${site.share}: ENOSPC`;
  fetches.end(OWN.fetch, { state: "failed", code: "exhausted", error }, START_MS);
}

async function openHidden({ store, services }: ServerUnderTest): Promise<ScriptedAgent> {
  const newer = modelOf("both:1b", { modified_at: "2026-04-01T00:00:00Z", size: 7 });
  const hidden = await ScriptedAgent.open(store, HIDDEN.agent, { models: [modelOf(HIDDEN.model), newer] });
  hidden.jobs = [active(HIDDEN.agent, 2), ended(HIDDEN.agent, 3)];
  hidden.oldJobs = [ended(HIDDEN.agent, 4)];
  hidden.running = [{ name: HIDDEN.model, size: 1, size_vram: 1, expires_at: "" }];
  await hidden.publish({ labels: { site: "hidden" } });
  services.refusedJobs.add([ended(HIDDEN.agent, 5)]);
  await services.activeModels.set("text", HIDDEN.model);
  return hidden;
}
