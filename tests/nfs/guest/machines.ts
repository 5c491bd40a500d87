// The server and the clients of the virtual machine, and running something on each.
import type { Finished } from "#tests/process/site/site.ts";
import { asUser, clientOf, type Seat, userOf } from "./seats.ts";

/** Each is a machine of its own for NFS; a command of this name runs what follows there. */
export type Client = "c1" | "c2" | "c3";

/** The first process is on the server: this leads there from a client too. */
const ON_SERVER = ["nsenter", "-t", "1", "-n", "-u", "-m"];
export const NFS_SERVER = "10.9.0.1";
/** On the second network, which tests do not cut. */
export const ADDRESSES: Readonly<Record<Client | "server", string>> = {
  server: "10.8.0.1",
  c1: "10.8.0.2",
  c2: "10.8.0.3",
  c3: "10.8.0.4",
};

/** Runs a command to its end, on a client or on the server. @throws Error with what it wrote when it fails */
export async function run(where: Seat | "server", ...command: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await finish(where, command);
  if (status === 0) return stdout;
  throw new Error(`On ${where}, "${command.join(" ")}" ended with ${status}:\n${stdout}${stderr}`);
}

/** Runs a command to its end. */
export async function finish(where: Seat | "server", command: readonly string[]): Promise<Finished> {
  const child = spawn(where, command);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, stdout, stderr };
}

export function spawn(where: Seat | "server", command: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  return Bun.spawn(
    where === "server" ? [...ON_SERVER, ...command] : [clientOf(where), ...asUser(userOf(where), command)],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
}
