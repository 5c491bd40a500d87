// The license of this package, as SPDX names it, or `UNLICENSED`.
import manifest from "../../../../package.json" with { type: "json" };

export const LICENSE: string = manifest.license;
