// What Ollama has and a box does not offer here: prompts, the bytes of models, and accounts of ollama.com.
import type { Hono } from "hono";
import { CourierError } from "../../base/errors.ts";
import type { Env } from "../http/env.ts";

const UNSERVED =
  "/:agent/:unserved{(?:api/(?:push|create|embed|embeddings|me|signout|(?:blobs|experimental)/.+)|v1/.+)}";

export function notServed(): CourierError {
  return new CourierError("unimplemented", "gpu-courier manages models; it does not carry prompts", {
    hint: "Pull, delete and list models here, and send prompts to an Ollama that can be reached",
  });
}

export function addUnservedRoute(routes: Hono<Env>): void {
  routes.on(["GET", "POST"], UNSERVED, () => {
    throw notServed();
  });
}
