// Which copy of a model a pull takes: the mirror's or the registry's.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { SignedCopies } from "#src/agent/pulls/mirror/signed_copies.ts";
import { type MirrorMode, Sources, type SourcesDeps } from "#src/agent/pulls/mirror/sources.ts";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { CourierError, isErrorCode } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { parseModelName } from "#src/base/model_name.ts";
import { type Manifest, parseManifest } from "#src/program/registry/manifest.ts";
import { writeSignature } from "#src/transport/mirror/signatures.ts";
import { publicLine } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";
import { type ModelIdentity, signModel } from "#src/trust/signed_model.ts";
import { parseTrustedKeys } from "#src/trust/trusted_keys.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { testKey } from "#tests/trust/test_key.ts";

const PHI4 = "registry.ollama.ai/library/phi4/latest";
const OTHER = JSON.stringify({ layers: [] });

let site: MirrorShare;
/** What the registry sends, or how it fails. */
let current: string;
let asked = 0;

beforeEach(() => {
  site = new MirrorShare();
  current = site.mirrored(PHI4, ["config", "weights"]).text;
  asked = 0;
});
afterEach(() => site[Symbol.dispose]());

function sources(
  mode: Exclude<MirrorMode, "off">,
  signed: SourcesDeps["signed"] = null,
  clock: Pick<Clock, "monotonic"> = systemClock,
): Sources {
  const readManifest = async (): Promise<Manifest> => {
    asked += 1;
    const manifest = parseManifest(current);
    if (manifest === null) throw new CourierError(isErrorCode(current) ? current : "internal", "The registry fails");
    return await Promise.resolve(manifest);
  };
  return new Sources({ mode, clock, mirror: site.mirror, registry: { readManifest }, signed, log: silentLog });
}

describe("auto", () => {
  test("takes the mirror's copy when the registry has the same one", async () => {
    expect((await sources("auto").copyOf("phi4:latest"))?.manifest.totalBytes).toBe("configweights".length);
  });

  test("takes the mirror's copy when the registry cannot be reached, and knows its size then", async () => {
    current = "unavailable";
    expect(await sources("auto").copyOf("phi4:latest")).not.toBeNull();
    expect((await sources("auto").readManifest("phi4:latest")).totalBytes).toBe("configweights".length);
  });

  test("leaves the model to the registry when that has another one", async () => {
    current = OTHER;
    expect(await sources("auto").copyOf("phi4:latest")).toBeNull();
    expect((await sources("auto").readManifest("phi4:latest")).totalBytes).toBe(0);
  });

  test.each(["not_found", "forbidden"] as const)("believes a registry that answers %s", async (code) => {
    current = code;
    expect(await sources("auto").copyOf("phi4:latest")).toBeNull();
    expect(await failure(sources("auto").readManifest("phi4:latest"))).toMatchObject({ code });
  });

  test("leaves an incomplete or damaged copy to the registry", async () => {
    rmSync(site.at("blobs", digestOf("weights").replace(":", "-")));
    expect(await sources("auto").copyOf("phi4:latest")).toBeNull();
    writeFileSync(site.at("manifests", PHI4), "{");
    expect(await sources("auto").copyOf("phi4:latest")).toBeNull();
    rmSync(site.at(), { recursive: true });
    expect(await sources("auto").copyOf("phi4:latest")).toBeNull();
  });
});

describe("a copy that turned out to be damaged", () => {
  test("is left alone for an hour, if the registry has the model", async () => {
    const clock = new ManualClock();
    const taken = sources("auto", null, clock);
    expect(await (await taken.bytesOf("phi4:latest"))?.place.damaged?.avoid()).toBe(true);
    expect(await taken.bytesOf("phi4:latest")).toBeNull();
    await clock.advance(3_599_000);
    expect(await taken.copyOf("phi4:latest")).toBeNull();
    await clock.advance(1000);
    expect(await taken.copyOf("phi4:latest")).not.toBeNull();
  });

  test.each(["unavailable", "not_found"])("is the end of the pull while the registry answers %s", async (code) => {
    const taken = sources("auto");
    const bytes = await taken.bytesOf("phi4:latest");
    current = code;
    expect(await bytes?.place.damaged?.avoid()).toBe(false);
  });

  test("is the end of the pull where only the mirror may be used", async () => {
    const bytes = await sources("only").bytesOf("phi4:latest");
    expect([await bytes?.place.damaged?.avoid(), asked]).toEqual([false, 0]);
  });
});

describe("required signatures", () => {
  const model = (): ModelIdentity => ({ name: "phi4:latest", digest: digestOf(current).slice("sha256:".length) });
  const line = (limits = ""): string => `${publicLine(testKey(), "alice")} ${limits}`;

  /** As a box that trusts these lines. */
  function signed(trustedKeys: string): SignedCopies {
    const keys = parseTrustedKeys(trustedKeys);
    return new SignedCopies({
      mirror: site.mirror,
      keys: { find: (id) => keys.get(id) },
      clock: { now: () => Date.now() },
    });
  }

  async function sign(text: string): Promise<void> {
    await writeSignature(site.mirror, parseModelName("phi4"), text);
  }

  test.each(["", "verbs=mirror", "verbs=pull_model,mirror not-after=2999-01-01"])(
    "a copy that a key with the limits %p has signed is used",
    async (limits) => {
      await sign(signModel(model(), "2026-01-01T00:00:00Z", testKey()));
      const copy = await sources("only", signed(line(limits))).copyOf("phi4:latest");
      expect(copy?.manifest.digest).toBe(model().digest);
    },
  );

  test.each<[string, () => string | null, string]>([
    ["no signature", () => null, line()],
    ["no JSON", () => "{", line()],
    ["a file that is too large", () => " ".repeat(5000), line()],
    ["another key's signature", () => signModel(model(), "", testKey(2)), line()],
    ["the signature of another digest", () => signModel({ ...model(), digest: "0".repeat(64) }, "", testKey()), line()],
    ["the signature of another name", () => signModel({ ...model(), name: "evil:latest" }, "", testKey()), line()],
    ["a changed signature", () => signModel(model(), "", testKey()).replace("phi4", "phi5"), line()],
    ["the signature of a command", () => signDocument("command", JSON.stringify(model()), testKey()), line()],
    ["a key for other verbs", () => signModel(model(), "", testKey()), line("verbs=pull_model")],
    ["a key that has ended", () => signModel(model(), "", testKey()), line("not-after=2020-01-01")],
  ])("a copy with %s is not used", async (_, text, trustedKeys) => {
    const written = text();
    if (written !== null) await sign(written);
    expect(await failure(sources("only", signed(trustedKeys)).copyOf("phi4:latest"))).toMatchObject({
      code: "forbidden",
    });
    expect(await sources("auto", signed(trustedKeys)).copyOf("phi4:latest")).toBeNull();
  });
});

describe("only", () => {
  test("never asks the registry", async () => {
    expect(await sources("only").copyOf("phi4:latest")).not.toBeNull();
    expect((await sources("only").readManifest("phi4:latest")).totalBytes).toBe("configweights".length);
    expect(asked).toBe(0);
  });

  test("fails for good when the mirror has no such model, and may be tried again when the share is away", async () => {
    expect(await failure(sources("only").copyOf("qwen3:8b"))).toMatchObject({ code: "not_found" });
    rmSync(site.at("blobs", digestOf("weights").replace(":", "-")));
    expect(await failure(sources("only").copyOf("phi4:latest"))).toMatchObject({ code: "conflict" });
    rmSync(site.at(), { recursive: true });
    expect(await failure(sources("only").copyOf("phi4:latest"))).toMatchObject({ code: "unavailable" });
    expect(asked).toBe(0);
  });
});
