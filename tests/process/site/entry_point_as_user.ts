// An entry point, or the legacy backend, as another user: started by root, it drops its privileges first.
// argv: UID:GID[:GROUP,…], the umask in octal, agent, server, client or backend, then its own arguments.

import { main as backend } from "#sim/legacy/backend_main.ts";
import { main as agent } from "#src/agent.ts";
import { main as client } from "#src/client.ts";
import { main as server } from "#src/server.ts";

const [who = "", umask = "", program = "", ...argv] = process.argv.slice(2);
const [uid = "", gid = "", groups = ""] = who.split(":");
process.umask(Number.parseInt(umask, 8));
process.setgroups?.(groups === "" ? [] : groups.split(",").map(Number));
process.setgid?.(Number(gid));
process.setuid?.(Number(uid));
const main = new Map(Object.entries({ agent, backend, client, server })).get(program);
if (main === undefined) throw new Error(`There is no entry point "${program}"`);
process.exitCode = await main(argv);
// Handles that a service leaves open must not keep the process alive.
if (main !== client) process.exit();
