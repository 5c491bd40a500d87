// A folder of the server over SMB: Samba on the server, started when it is first needed, and the kernel's cifs on the clients.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { type Client, NFS_SERVER, run } from "../machines.ts";
import type { NetworkExport } from "./exports.ts";

const CONFIGURATION = "/etc/samba/smb.conf";
const PID = "/run/samba/smbd.pid";
const USER = "username=root,password=pw";
/** Of Samba's defaults only these differ: one port, and no groups of Windows. */
const GLOBAL =
  "[global]\nserver role = standalone server\ndisable netbios = yes\nsmb ports = 445\nload printers = no\n";
const SHARE = "[disk]\npath = /disk/export\nread only = no\n";

export class SmbExport implements NetworkExport {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** All exported folders are in one share of Samba: there is no more to do for each. */
  async open(): Promise<void> {
    if (!existsSync(PID)) await startSamba();
  }

  async mount(client: Client, point: string, options: string): Promise<void> {
    const all = `vers=3.1.1,${USER}${options === "" ? "" : `,${options}`}`;
    await run(client, "mount.cifs", `//${NFS_SERVER}/disk/${basename(this.#folder)}`, point, "-o", all);
  }

  async close(): Promise<void> {}
}

/** Resolves when it listens. */
export async function startSamba(): Promise<void> {
  if (!existsSync(CONFIGURATION)) await configure();
  // It keeps what it inherits: a pipe would never end.
  await run("server", "sh", "-c", "smbd -D >/dev/null 2>&1 && until nc 127.0.0.1 445 </dev/null; do sleep 0.1; done");
}

/** At once, with all that serve a client. */
export async function killSamba(): Promise<void> {
  await run("server", "sh", "-c", `kill -9 -$(cat ${PID}); rm ${PID}`);
}

async function configure(): Promise<void> {
  for (const folder of ["/etc/samba", "/run/samba", "/var/lib/samba/private", "/var/cache/samba", "/var/log/samba"])
    mkdirSync(folder, { recursive: true });
  writeFileSync(CONFIGURATION, GLOBAL + SHARE);
  await run("server", "sh", "-c", "printf 'pw\\npw\\n' | smbpasswd -a -s root");
}
