// The bill of materials of a release: what is in its programs, and nothing else.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import manifest from "../../../package.json" with { type: "json" };
import { describeParts } from "../../../scripts/release/sbom.ts";
import { OPERATOR_TARGETS, TARGETS } from "../../../scripts/runtimes.ts";

const ROOT = join(import.meta.dir, "../../..");
const Parts = z.object({
  metadata: z.object({ component: z.object({ name: z.string(), version: z.string() }) }),
  components: z.array(
    z.object({
      type: z.string(),
      name: z.string(),
      version: z.string(),
      hashes: z.array(z.object({ alg: z.string(), content: z.string() })).optional(),
    }),
  ),
});

test("describeParts() lists the packages in the programs, each with a digest, and no tool", async () => {
  const { metadata, components } = Parts.parse(JSON.parse(await describeParts(ROOT, TARGETS)));
  expect(metadata.component).toEqual({ name: manifest.name, version: manifest.version });
  const packages = components.filter(({ type }) => type === "library").map(({ name }) => name);
  expect(packages).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
  for (const tool of Object.keys(manifest.devDependencies)) expect(packages).not.toContain(tool);
  for (const { hashes } of components) expect(hashes?.[0]).toMatchObject({ alg: "SHA-512" });
});

test("describeParts() lists the Bun of each machine that the release is for", async () => {
  const runtimesIn = async (targets: Parameters<typeof describeParts>[1]): Promise<string[]> => {
    const { components } = Parts.parse(JSON.parse(await describeParts(ROOT, targets)));
    return components.filter(({ type }) => type === "platform").map(({ name, version }) => `${name} ${version}`);
  };
  const all = [...TARGETS, ...OPERATOR_TARGETS];
  expect(await runtimesIn(all)).toEqual(all.map((target) => `${target.package} ${Bun.version}`));
  expect(await runtimesIn([undefined])).toEqual([`bun ${Bun.version}`]);
});

test("describeParts() is the same for the same release", async () => {
  expect(await describeParts(ROOT, [undefined])).toBe(await describeParts(ROOT, [undefined]));
});
