// GET /v1/doctor: what gpu-server finds when it checks the share and the agents.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { DoctorDocument } from "../../documents/doctor.ts";
import type { Env } from "../http/env.ts";
import type { WholeServices } from "../services.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { json, security } from "./schema/schemas.ts";

const EXAMPLE: DoctorDocument = {
  result: "ok",
  checks: [{ check: "ping", subject: "gpu-1", result: "ok", message: "Round trip OK: 53 ms", hint: null }],
};

const examineFleet = createRoute({
  method: "get",
  path: "/v1/doctor",
  operationId: "examineFleet",
  tags: ["agents"],
  summary: "Check the share and the agents",
  description:
    "The checks of `gpuctl doctor`, made on the machine of gpu-server: it writes small files to the share, pings each agent, and shows paths and users. " +
    "A failed check is no failed request: see `result`. One examination answers everybody who asks within 5 s. Not for a token with limits.",
  security,
  request: { query: QUERY.none },
  responses: { 200: json("The checks", DoctorDocument, EXAMPLE), ...failures() },
});

export function addDoctorRoutes(app: OpenAPIHono<Env>, { examination }: Pick<WholeServices, "examination">): void {
  app.openapi(examineFleet, async (context) => context.json(await examination.document(), 200));
}
