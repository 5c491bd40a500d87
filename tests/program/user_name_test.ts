// The name of the user that a process runs as.
import { afterAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { userName } from "#src/program/user_name.ts";
import { memoryDir } from "#tests/support/memory_dir.ts";

const dir = memoryDir("gpu-courier-user-");
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const uid = process.geteuid?.() ?? -1;
const passwdFile = join(dir, "passwd");
writeFileSync(passwdFile, `x:x:999999:0::/:/bin/sh\nada:x:${uid}:0::/srv/ada:/bin/sh\n`);
const noFile = join(dir, "missing");

test.each([
  ["USER is not set", {}],
  ["USER names another", { USER: "mallory", LOGNAME: "mallory" }],
])("userName() returns the name of the user id when %s", (_, environment) => {
  expect(userName({ passwdFile, environment })).toBe("ada");
});

test.each([
  [{ USER: "ada", LOGNAME: "bob" }, "ada"],
  [{ USER: "", LOGNAME: "bob" }, "bob"],
  [{}, String(uid)],
])("userName() with %o when the user is not in the file", (environment, expected) => {
  expect(userName({ passwdFile: noFile, environment })).toBe(expected);
});
