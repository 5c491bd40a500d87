// The units in systemd/: what install.sh and the agent depend on, read as text. A booted systemd tries them elsewhere.
import { describe, expect, test } from "bun:test";
import { ERROR_CODES } from "#src/base/errors.ts";

/** These touch what they name, or all that is mounted below it, when a service is set up: a share that hangs hangs it. */
const TOUCHING = [
  "BindPaths",
  "BindReadOnlyPaths",
  "ExecPaths",
  "InaccessiblePaths",
  "NoExecPaths",
  "ProtectHome",
  "ReadOnlyPaths",
  "ReadWritePaths",
  "RequiresMountsFor",
  "RootDirectory",
  "TemporaryFileSystem",
  "WantsMountsFor",
  "WorkingDirectory",
];

const NAMES = ["gpu-command-service", "gpu-courier-server"];
const read = async (name: string): Promise<string> =>
  await Bun.file(`${import.meta.dir}/../../systemd/${name}.service`).text();
const UNITS = await Promise.all(NAMES.map(async (name) => [name, await read(name)] as const));

describe.each(UNITS)("%s.service", (_, text) => {
  const directives = [...text.matchAll(/^([A-Za-z]+)=(.*)$/gm)].map(
    ([, key = "", value = ""]) => [key, value] as const,
  );
  const valuesOf = (key: string): string[] => directives.filter(([name]) => name === key).map(([, value]) => value);

  test("begins with a mark that the legacy service's unit lacks, and leaves two places to fill in", () => {
    expect(text).toStartWith("# gpu-courier: ");
    expect(new Set(text.match(/@[A-Z_]+@/g))).toEqual(new Set(["@BIN@", "@USER@"]));
  });

  test("keeps from the runtime the variables that would make it run other code", () => {
    expect(valuesOf("UnsetEnvironment")).toEqual(["BUN_OPTIONS BUN_BE_BUN"]);
  });

  test("holds nothing that touches a share", () => {
    expect(directives.map(([key]) => key).filter((key) => TOUCHING.includes(key))).toEqual([]);
    expect(valuesOf("ProtectSystem")).toEqual(["full"]);
    expect(directives.filter(([, value]) => value.includes("/mnt"))).toEqual([]);
  });

  test("holds nothing that the runtime or setgid folders cannot take, and requires no other unit", () => {
    const keys = directives.map(([key]) => key);
    const unbearable = ["MemoryDenyWriteExecute", "RestrictSUIDSGID", "PrivateUsers", "Requires", "BindsTo", "PartOf"];
    expect(keys.filter((key) => unbearable.includes(key))).toEqual([]);
  });

  test("bounds the memory and the threads of the service", () => {
    const limits = text.includes("@BIN@/gpu-server") ? ["1500M", "2G"] : ["512M", "1G"];
    expect([...valuesOf("MemoryHigh"), ...valuesOf("MemoryMax"), ...valuesOf("TasksMax")]).toEqual([...limits, "128"]);
  });

  test("does not start again what ends with a code that only somebody can fix", () => {
    const { invalid, conflict, forbidden } = ERROR_CODES;
    const statuses = [invalid, conflict, forbidden].map(({ exit }) => exit).join(" ");
    expect(valuesOf("RestartPreventExitStatus")).toEqual([statuses]);
  });
});
