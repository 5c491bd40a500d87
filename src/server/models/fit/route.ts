// /v1/fit: a model as its registry has it now, and which boxes it fits.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { normalModelName } from "../../../base/model_name.ts";
import { ModelFitDocument, readFit } from "../../../documents/models/fit.ts";
import { readFleet, selectViews } from "../../fleet/known_fleet.ts";
import type { Env } from "../../http/env.ts";
import type { ServicesOf } from "../../services.ts";
import { QUERY } from "../../v1/schema/list_schemas.ts";
import { failures } from "../../v1/schema/problems.ts";
import { json, security } from "../../v1/schema/schemas.ts";

const PHI4: ModelFitDocument = {
  name: "phi4:latest",
  state: "published",
  reason: null,
  digest: "ac896e5b8b34a1f4efa7b14d7520725140d5512484457fab45d2a4ea14c69dba",
  size: 9_053_116_391,
  weights_bytes: 9_053_114_464,
  checked_at: "2026-11-28T03:37:13.995Z",
  assumption: "an estimate: weights, 10 % for a context of 4096 tokens, and 500.0 MB per GPU",
  agents: [
    {
      agent: "gpu-1",
      verdict: "fits",
      verdict_now: "fits partly: the rest runs on the CPU",
      reason: null,
      needed_bytes: 10_458_425_910,
      gpu_bytes: 25_769_803_776,
      gpu_free_bytes: 4_294_967_296,
    },
  ],
};

const showFit = createRoute({
  method: "get",
  path: "/v1/fit",
  operationId: "showFit",
  tags: ["models"],
  summary: "Show which boxes a model of a registry fits",
  description:
    "Asks the model's registry, and keeps its answer for 6 hours. The verdicts are estimates from the sizes in the manifest: " +
    "no pull is refused by them. Boxes that are away are in `unavailable`.",
  security,
  request: { query: QUERY.fit },
  responses: {
    200: json("The model, and a verdict for each box", ModelFitDocument, PHI4),
    ...failures(404, 504),
  },
});

export function addFitRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(showFit, async (context) => {
    const { agent, model } = context.req.valid("query");
    const services = servicesOf(context);
    const views = selectViews(await readFleet(services), agent);
    return context.json(await readFit(services.publishedModels, normalModelName(model), views), 200);
  });
}
