// A entry point, or the legacy backend, as another user: started by root, it gives root up before it does anything.
// argv: UID:GID[:GROUP,…], the umask in octal, agent, server, client or backend, then its own.

import { main as backend } from "#sim/legacy/backend_main.ts";
import { main as agent } from "#src/agent.ts";
import { main as client } from "#src/client.ts";
import { main as server } from "#src/server.ts";

const [who = "", umask = "", face = "", ...argv] = process.argv.slice(2);
const [uid = "", gid = "", groups = ""] = who.split(":");
process.umask(Number.parseInt(umask, 8));
process.setgroups?.(groups === "" ? [] : groups.split(",").map(Number));
process.setgid?.(Number(gid));
process.setuid?.(Number(uid));
const main = new Map(Object.entries({ agent, backend, client, server })).get(face);
if (main === undefined) throw new Error(`There is no entry point "${face}"`);
process.exitCode = await main(argv);
// What a service leaves open keeps no process alive that has ended.
if (main !== client) process.exit();
