// src/server/models/mirror/server_mirror.ts on a share that hangs.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { silentLog } from "#src/base/log.ts";
import { parseModelName } from "#src/base/model_name.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import { FetchStore } from "#src/server/models/mirror/fetch_store.ts";
import { Fetches } from "#src/server/models/mirror/fetches.ts";
import { ServerMirror } from "#src/server/models/mirror/server_mirror.ts";
import { RegistrySource } from "#src/transport/mirror/registry_source.ts";
import type { Freed } from "#src/transport/mirror/upkeep.ts";
import { hurriedClock } from "#tests/support/clocks/hurried_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { MirrorShare } from "#tests/support/sites/mirror_share.ts";

test("a removal that the share does not answer lets no other one begin until it does", async () => {
  using site = new MirrorShare();
  using database = new Database(":memory:", { strict: true });
  const { mirror } = site;
  const store = new FetchStore(database);
  const registries = new AllowedRegistries({ agent: "gpu-server", allowed: [], insecure: [] });
  const source = new RegistrySource({ registries });
  const clock = hurriedClock(1000);
  const pulls = { send: async () => await Promise.resolve() };
  const fetches = new Fetches({ store, pulls, mirror, source, registries, clock, log: silentLog });
  const hanging: PromiseWithResolvers<Freed>[] = [];
  const hang = async (): Promise<Freed> => {
    hanging.push(Promise.withResolvers<Freed>());
    return await (hanging.at(-1)?.promise ?? Promise.reject(new Error("Nothing hangs")));
  };
  const upkeep = { removeModel: hang, collectGarbage: hang };
  const served = new ServerMirror({ mirror, fetches, store, clock, upkeep });
  const phi4 = parseModelName("phi4");
  expect((await failure(served.remove(phi4))).code).toBe("deadline_exceeded");
  expect((await failure(served.remove(phi4))).code).toBe("unavailable");
  expect((await failure(served.collect())).code).toBe("unavailable");
  expect(hanging.length).toBe(1);
  hanging[0]?.resolve({ files: 1, bytes: 1 });
  await clock.sleep(0);
  const again = served.collect();
  hanging[1]?.resolve({ files: 2, bytes: 2 });
  expect(await again).toEqual({ files: 2, bytes: 2 });
});
