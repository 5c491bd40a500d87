// What Ollama has and a box does not offer here: everything that carries prompts, or the bytes of models.
import type { Hono } from "hono";
import { CourierError } from "../../base/errors.ts";
import type { Env } from "../http/env.ts";

const UNSERVED = "/:agent/:unserved{(?:api/(?:push|create|embed|embeddings|blobs/.+)|v1/.+)}";

export function notServed(): CourierError {
  return new CourierError("unimplemented", "gpu-courier manages models; it does not carry prompts", {
    hint: "Pull, delete and list models here, and send prompts to an Ollama that can be reached",
  });
}

export function addUnservedRoute(routes: Hono<Env>): void {
  routes.post(UNSERVED, () => {
    throw notServed();
  });
}
