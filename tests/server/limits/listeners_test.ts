// src/server/limits/listeners.ts: which callers may open no more than 100 event streams.
import { expect, test } from "bun:test";
import { type Caller, TRUSTED_CALLER } from "#src/server/access/caller.ts";
import { Listeners, MAX_VIEWER_LISTENERS } from "#src/server/limits/listeners.ts";

const BACKEND: Caller = { ...TRUSTED_CALLER, name: "a", way: "token" };

test.each<[string, Caller, boolean]>([
  ["a viewer", { ...BACKEND, role: "viewer" }, true],
  ["a token for some agents", { ...BACKEND, agents: new Set(["gpu-1"]) }, true],
  ["a token that only reads", { ...BACKEND, verbs: new Set(["list_jobs", "list_models"]) }, true],
  ["a user of the platform", { ...BACKEND, way: "introspection" }, true],
  ["a user with a signed token", { ...BACKEND, way: "jwt" }, true],
  ["a token that changes the whole fleet", { ...BACKEND, verbs: new Set(["list_jobs", "pull_model"]) }, false],
  ["a token without limits", BACKEND, false],
])("refusal() holds %s to 100: %#", (_, caller, isHeld) => {
  const listeners = new Listeners(1_000);
  for (let count = 0; count < MAX_VIEWER_LISTENERS; count++) {
    expect(listeners.refusal(caller)).toBeUndefined();
    listeners.add(caller);
  }
  const name = caller.way === "token" ? 'Token "a"' : '"a"';
  expect(listeners.refusal(caller)).toBe(isHeld ? `${name} already has 100 listeners` : undefined);
  expect(listeners.refusal({ ...caller, name: "b" })).toBeUndefined();
  for (const way of ["token", "introspection", "jwt"] as const)
    expect(listeners.refusal({ ...caller, way }) === undefined).toBe(!isHeld || way !== caller.way);
});
