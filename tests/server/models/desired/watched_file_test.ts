// src/server/models/desired/{watched_file,read_file}.ts: when a file comes into force, and what keeps it from that.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { readFleetText } from "#src/server/models/desired/read_file.ts";
import { WatchedFile } from "#src/server/models/desired/watched_file.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";

const PHI = "models:\n  - name: phi4\n    on: all\n";
const GEMMA = "models:\n  - name: gemma3:12b\n    on: all\n";

/** A file that is looked at once a second. */
class Watching {
  readonly clock = new ManualClock();
  text: string | null = PHI;
  readonly warnings: object[] = [];
  readonly file = new WatchedFile({
    path: "fleet.yaml",
    read: async (path) => {
      if (this.text !== null) return await Promise.resolve(this.text);
      throw new CourierError("invalid", `Cannot read ${path}: ENOENT`);
    },
    clock: this.clock,
    log: { ...silentLog, warn: (fields) => void this.warnings.push(fields) },
  });

  async look(seconds: number): Promise<boolean[]> {
    const looks: boolean[] = [];
    for (let second = 0; second < seconds; second++) {
      looks.push(await this.file.look());
      await this.clock.advance(1_000);
    }
    return looks;
  }

  get models(): readonly string[] | undefined {
    return this.file.inForce?.models.map(({ name }) => name);
  }
}

describe("WatchedFile", () => {
  test("takes a file up when it has stayed as it is for 5 s, and reports that once", async () => {
    const watching = new Watching();
    expect(await watching.look(8)).toEqual([false, false, false, false, false, true, false, false]);
    expect(watching.models).toEqual(["phi4:latest"]);
  });

  test("does not take up a file that is being written", async () => {
    const watching = new Watching();
    await watching.look(6);
    for (let length = 1; length <= GEMMA.length; length += 10) {
      watching.text = GEMMA.slice(0, length);
      await watching.look(4);
    }
    expect([watching.models, watching.file.problem, watching.warnings]).toEqual([["phi4:latest"], null, []]);
    watching.text = GEMMA;
    await watching.look(6);
    expect(watching.models).toEqual(["gemma3:12b"]);
  });

  test("keeps the earlier file in force while the new one has a mistake, and names the line once", async () => {
    const watching = new Watching();
    await watching.look(6);
    watching.text = `${GEMMA}purge: true\n`;
    expect(await watching.look(20)).not.toContain(true);
    expect([watching.models, watching.file.problem]).toEqual([["phi4:latest"], 'fleet.yaml:4: Unknown key "purge"']);
    expect(watching.warnings).toEqual([
      { reason: 'fleet.yaml:4: Unknown key "purge"', hint: "Known keys: models, prune" },
    ]);
    // The mistake is undone: that is no other file.
    watching.text = PHI;
    expect(await watching.look(6)).not.toContain(true);
    expect(watching.file.problem).toBeNull();
  });

  test("keeps the earlier file in force when it is emptied or gone, but not for the moment of an exchange", async () => {
    const watching = new Watching();
    await watching.look(6);
    watching.text = null;
    await watching.look(4);
    watching.text = PHI;
    await watching.look(10);
    expect([watching.file.problem, watching.warnings]).toEqual([null, []]);
    for (const [text, problem] of [
      [null, "Cannot read fleet.yaml: ENOENT"],
      ["", "fleet.yaml:1: The file must have the keys models, prune"],
      ["models: []\nprune: true\n", "fleet.yaml:1: models is empty, and prune would delete every model"],
    ] as const) {
      watching.text = text;
      await watching.look(6);
      expect([watching.models, watching.file.problem]).toEqual([["phi4:latest"], problem]);
    }
  });

  test("reads a share that hangs once, and shows that it hangs", async () => {
    const clock = new ManualClock();
    const answer = Promise.withResolvers<string>();
    let reads = 0;
    const read = async (): Promise<string> => {
      reads += 1;
      return await answer.promise;
    };
    const file = new WatchedFile({ path: "fleet.yaml", read, clock, log: silentLog });
    for (let look = 0; look < 3; look++) {
      const looking = file.look();
      await clock.advance(11_000);
      await looking;
    }
    expect([reads, file.problem]).toEqual([1, "Cannot read fleet.yaml: no answer for 10 s"]);
    answer.resolve(PHI);
    for (let look = 0; look < 2; look++) {
      await file.look();
      await clock.advance(6_000);
    }
    expect([file.inForce?.models.length, file.problem]).toEqual([1, null]);
  });
});

describe("readFleetText()", () => {
  const dir = mkdtempSync(join(tmpdir(), "gpu-courier-fleet-file-"));
  afterAll(() => rmSync(dir, { recursive: true }));
  const path = join(dir, "fleet.yaml");

  test("reads a file that was replaced by a rename, and one behind links that are exchanged", async () => {
    writeFileSync(path, PHI);
    expect(await readFleetText(path)).toBe(PHI);
    writeFileSync(`${path}.new`, GEMMA);
    renameSync(`${path}.new`, path);
    expect(await readFleetText(path)).toBe(GEMMA);
    // As Kubernetes mounts a config map.
    for (const [folder, text] of [
      ["one", PHI],
      ["two", GEMMA],
    ] as const) {
      mkdirSync(join(dir, folder));
      writeFileSync(join(dir, folder, "fleet.yaml"), text);
    }
    symlinkSync("one", join(dir, "data"));
    symlinkSync("data/fleet.yaml", join(dir, "linked.yaml"));
    expect(await readFleetText(join(dir, "linked.yaml"))).toBe(PHI);
    symlinkSync("two", join(dir, "data.new"));
    renameSync(join(dir, "data.new"), join(dir, "data"));
    expect(await readFleetText(join(dir, "linked.yaml"))).toBe(GEMMA);
  });

  test("refuses what is no file, too large or no text", async () => {
    const pipe = join(dir, "pipe");
    expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
    writeFileSync(join(dir, "large"), "#".repeat(1_000_001));
    writeFileSync(join(dir, "binary"), new Uint8Array([0xff, 0xfe, 0x00]));
    for (const [name, why] of [
      ["missing", "Cannot read PATH: ENOENT"],
      [".", "Cannot read PATH: it is not a regular file"],
      ["pipe", "Cannot read PATH: it is not a regular file"],
      ["large", "Cannot read PATH: it is larger than 1000000 bytes"],
      ["binary", "Cannot use PATH: it is no text in UTF-8"],
    ] as const) {
      const error = await failure(readFleetText(join(dir, name)));
      expect([error.code, error.message]).toEqual(["invalid", why.replace("PATH", join(dir, name))]);
    }
  });
});
