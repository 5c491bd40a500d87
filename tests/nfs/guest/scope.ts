// What is tested: which versions of NFS, and at what length.

export type Version = "3" | "4.2";
export const VERSIONS: readonly Version[] = ["3", "4.2"];
/** Whether the figures are wanted that take long. */
export const FULL = process.env["NFS_FULL"] === "1";
