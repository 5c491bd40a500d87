// The routes of the platform's page, as /openapi.json describes them. Those that /v1 has as well are deprecated.
import { z } from "@hono/zod-openapi";
import { ModelType } from "../store/active_models.ts";
import { Catalog } from "./catalog.ts";
import { COMMON, EXAMPLE, failuresAs, json, PlatformModel, QUERY } from "./described_parts.ts";

const NamedModel = z.object({ model_name: z.string() }).meta({ id: "NamedModel" });
const ActiveModel = NamedModel.extend({ model_type: ModelType.meta({ id: "ModelType" }) }).meta({ id: "ActiveModel" });
const Message = z.object({ message: z.string() }).meta({ id: "Message" });
const Models = z
  .object({ models: z.array(PlatformModel), active_models: z.partialRecord(ModelType, z.string()) })
  .meta({ id: "PlatformModels" });
const Detail = z.object({ detail: z.string() }).meta({ id: "Detail", description: "Why the request failed." });

const FAILURES = failuresAs(Detail, { detail: EXAMPLE.failure });
const BODY = { model_name: EXAMPLE.model.name };

function done(message: string) {
  return { 200: json("It was done", Message, { message }), ...FAILURES };
}

function body<Schema extends z.ZodType>(schema: Schema, example: z.input<Schema>) {
  return { ...json("The model", schema, example), required: true };
}

export const CONFIG_ROUTES = [
  {
    ...COMMON,
    method: "get",
    path: "/api/config/models",
    operationId: "listPlatformModels",
    summary: "List the installed models and the active ones",
    request: { query: QUERY.list },
    responses: {
      200: json("The models", Models, { models: [EXAMPLE.model], active_models: { text: EXAMPLE.model.name } }),
      ...FAILURES,
    },
  },
  {
    ...COMMON,
    method: "get",
    path: "/api/config/available-models",
    operationId: "listAvailableModels",
    summary: "List the models that the page offers",
    responses: {
      200: json("The catalog", Catalog.meta({ id: "Catalog" }), {
        models: [{ name: EXAMPLE.model.name, description: "Microsoft's Phi-4", size: "9.1 GB" }],
      }),
      ...FAILURES,
    },
  },
  {
    ...COMMON,
    method: "post",
    path: "/api/config/set-active-model",
    operationId: "setActiveModel",
    summary: "Set the active model of one type",
    request: { body: body(ActiveModel, { ...BODY, model_type: "text" }) },
    responses: done("Active text model set to phi4:latest"),
  },
  {
    ...COMMON,
    deprecated: true,
    method: "post",
    path: "/api/config/pull-model",
    operationId: "pullPlatformModel",
    summary: "Pull a model on one agent",
    description: "Use `POST /v1/jobs`. The response also has the job.",
    request: { query: QUERY.change, body: body(NamedModel, BODY) },
    responses: done(EXAMPLE.pulling),
  },
  {
    ...COMMON,
    deprecated: true,
    method: "delete",
    path: "/api/config/delete-model",
    operationId: "deletePlatformModel",
    summary: "Delete a model from the agent that is meant",
    description: "Use `DELETE /v1/agents/{agent}/models/{model}`.",
    request: { query: QUERY.change, body: body(NamedModel, BODY) },
    responses: done(EXAMPLE.deleted),
  },
] as const;
