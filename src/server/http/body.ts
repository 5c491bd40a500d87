// Request bodies: their size, their type and their schema.
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { z } from "zod";
import { CourierError } from "../../base/errors.ts";
import { asInvalid } from "./invalid.ts";
import { failWith } from "./problem.ts";

const MAX_BODY_BYTES = 64 * 1024;
const JSON_TYPE = /^application\/([\w.+-]+\+)?json\s*(;|$)/i;

/** Refuses a body that is too large without reading all of it. */
export const limitBody: MiddlewareHandler = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: () => {
    throw failWith(413, `The body is larger than ${MAX_BODY_BYTES} bytes`, "Send only the fields that the route needs");
  },
});

/** Refuses a body that is not JSON with a clear message. The route's schema is checked afterwards. */
export const requireJson: MiddlewareHandler = async (context, next) => {
  await readJson(context);
  await next();
};

/** The same for a route that takes a body or none. */
export const requireJsonOrNothing: MiddlewareHandler = async (context, next) => {
  const isJson = JSON_TYPE.test(context.req.header("content-type") ?? "");
  if (isJson || (await context.req.text()) !== "") await readJson(context);
  await next();
};

/**
 * Keeps the value for the audit, as the validator of a route under /v1 does.
 * @throws CourierError `invalid` with each invalid field; HTTPException 415 for another content type
 */
export async function readBody<Schema extends z.ZodType>(context: Context, schema: Schema): Promise<z.output<Schema>> {
  const body = await readJson(context);
  const parsed = schema.safeParse(body);
  if (parsed.success) {
    context.req.addValidatedData("json", Object(parsed.data));
    return parsed.data;
  }
  throw asInvalid(parsed.error, body, "the body");
}

async function readJson(context: Context): Promise<unknown> {
  const type = context.req.header("content-type");
  if (type === undefined || !JSON_TYPE.test(type))
    throw failWith(
      415,
      `Cannot read a body of type ${JSON.stringify(type ?? "none")}`,
      "Send JSON, with the header Content-Type: application/json",
    );
  try {
    return await context.req.json();
  } catch (error) {
    throw new CourierError("invalid", "The body is not valid JSON", { cause: error });
  }
}
