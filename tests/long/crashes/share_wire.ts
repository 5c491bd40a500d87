// The crash matrix on a share: it writes and reads the files.
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { ProcessSite } from "#tests/process/site/site.ts";
import { AGENT, REPLY_TO, type Wire } from "./wire.ts";

export async function openShareWire(site: ProcessSite): Promise<Wire> {
  site.write(`gpu_status/${REPLY_TO}/.alive`, "");
  const pathOf = (id: string, version: 1 | 2): string =>
    join(site.share, version === 1 ? "gpu_commands" : `gpu_commands/${AGENT}`, `${id}.json`);
  return {
    agentArgs: [],
    send: async (id, version, text) => {
      site.write(`gpu_commands/.tmp/${id}`, text);
      renameSync(join(site.share, `gpu_commands/.tmp/${id}`), pathOf(id, version));
    },
    answer: async (id, version) => {
      const folder = version === 1 ? "gpu_status" : `gpu_status/${REPLY_TO}`;
      const path = join(site.share, folder, `${id}_response.json`);
      return existsSync(path) ? readFileSync(path, "utf8") : null;
    },
    isThere: async (id, version) => existsSync(pathOf(id, version)),
    state: async () => site.state(AGENT),
    close: async () => undefined,
  };
}
