// The network between the clients and their server, which tests cut.
import { type Client, run } from "./machines.ts";

/** It swallows everything, both ways. */
export async function cutNetwork(clients: readonly Client[]): Promise<void> {
  await eachWay(clients, "add", "root", "netem", "loss", "100%");
}

export async function mendNetwork(clients: readonly Client[]): Promise<void> {
  await eachWay(clients, "del", "root");
}

async function eachWay(clients: readonly Client[], what: "add" | "del", ...how: readonly string[]): Promise<void> {
  for (const client of clients) {
    await run("server", "/sbin/tc", "qdisc", what, "dev", `nfs${client.slice(1)}`, ...how);
    await run(client, "/sbin/tc", "qdisc", what, "dev", "nfs", ...how);
  }
}
