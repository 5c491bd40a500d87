// A process of its own that learns keys and stores each at once: `writing_program.ts FILE NAME COUNT`.
import { KnownAgentsFile } from "#src/trust/agents/known_agents_file.ts";
import { rawKey } from "#src/trust/keys.ts";
import { testKey } from "#tests/trust/test_key.ts";

const [path = "", name = "", count = ""] = process.argv.slice(2);
for (let each = 0; each < Number(count); each++) {
  const known = { key: rawKey(testKey()), status: "first use" as const, boot: 1, sequence: each };
  new KnownAgentsFile(path, "/mnt/shared").write({
    displaced: new Set(),
    learned: new Map([[`${name}-${each}`, known]]),
    decided: new Map(),
    seen: new Map(),
  });
}
