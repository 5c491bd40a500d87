// The network file systems to test, and the length of the run.

export type Version = "3" | "4.2";
export const VERSIONS: readonly Version[] = ["3", "4.2"];
/** By version, or SMB 3.1.1. */
export type Protocol = Version | "smb";
export const PROTOCOLS: readonly Protocol[] = [...VERSIONS, "smb"];
/** Whether the figures are wanted that take long. */
export const FULL = process.env["NFS_FULL"] === "1";

/** As figures and the names of tests have it. */
export function titleOf(protocol: Protocol): string {
  return protocol === "smb" ? "SMB 3.1.1" : `NFSv${protocol}`;
}
