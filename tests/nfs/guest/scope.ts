// The versions of NFS to test, and the length of the run.

export type Version = "3" | "4.2";
export const VERSIONS: readonly Version[] = ["3", "4.2"];
/** Whether the figures are wanted that take long. */
export const FULL = process.env["NFS_FULL"] === "1";
