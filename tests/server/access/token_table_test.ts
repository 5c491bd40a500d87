// The tokens as a table for people.
import { expect, test } from "bun:test";
import { tokenTable } from "#src/server/access/token_table.ts";

const NOW_MS = Date.parse("2026-11-29T12:00:00Z");
const PLAIN = {
  name: "platform",
  role: "gp" as const,
  created_at: "2026-01-02T03:04:05.678Z",
  expiresAtMs: null,
  agents: null,
  verbs: null,
  lastUsedMs: null,
  accounts: { limits: "0123456789abcdef", audit: "0123456789abcdef" },
};

test("tokenTable() shows what limits a token below it, in at most 80 columns", () => {
  const agents = Array.from({ length: 12 }, (_, index) => `gpu-${index + 1}`);
  const limited = {
    ...PLAIN,
    name: "berlin",
    agents,
    verbs: ["list_models" as const],
    expiresAtMs: NOW_MS + 86_400_000,
  };
  const old = { ...PLAIN, name: "old", role: "viewer" as const, expiresAtMs: NOW_MS, lastUsedMs: NOW_MS - 300_000 };
  expect(tokenTable([limited, old, PLAIN], NOW_MS)).toBe(`NAME       ROLE     CREATED      EXPIRES      LAST USED
berlin     gp       2026-01-02   2026-11-30   never
  only on gpu-1, gpu-2, gpu-3, gpu-4, gpu-5, gpu-6, gpu-7, gpu-8, gpu-9, gpu-10,
    gpu-11, gpu-12
  only list_models
old        viewer   2026-01-02   expired      5 minutes ago
platform   gp       2026-01-02   never        never
`);
});
