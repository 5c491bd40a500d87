// /v1/desired: where the fleet differs from the file that this server keeps it to.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { DesiredDocument } from "../../../documents/models/desired.ts";
import type { Env } from "../../http/env.ts";
import type { ServicesOf } from "../../services.ts";
import { QUERY } from "../../v1/schema/list_schemas.ts";
import { failures } from "../../v1/schema/problems.ts";
import { json, security } from "../../v1/schema/schemas.ts";

const EXAMPLE: DesiredDocument = {
  file: "/etc/gpu-courier/fleet.yaml",
  status: "active",
  checked_at: "2026-11-28T03:37:13.995Z",
  problem: null,
  models: 12,
  drift: [
    {
      agent: "gpu-1",
      model: "phi4:latest",
      action: "pull",
      since: "2026-11-28T03:36:13.995Z",
      job: "019ac8f0-6b1c-7000-8000-5f6c3a1d2e4b",
      reason: null,
    },
  ],
  unknown: ["gpu-3"],
};

const getDesired = createRoute({
  method: "get",
  path: "/v1/desired",
  operationId: "getDesired",
  tags: ["models"],
  summary: "Compare the fleet with the file that gpu-server keeps it to",
  description:
    "As gpu-server last compared it, about once a minute; it asks nobody. Boxes that are away are `unknown`, and no drift. A token with " +
    "limited agents sees the drift of these, and neither the file nor what is wrong with it.",
  security,
  request: { query: QUERY.none },
  responses: { 200: json("Each difference, with what is done about it", DesiredDocument, EXAMPLE), ...failures() },
});

export function addDesiredRoute(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(getDesired, (context) => context.json(servicesOf(context).desired.document(), 200));
}
