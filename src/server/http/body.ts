// Request bodies: bounded, JSON, and of the shape that the route wants. Imports hono, zod, errors.
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { z } from "zod";
import { CourierError } from "../../base/errors.ts";
import { failWith } from "./problem.ts";

const MAX_BODY_BYTES = 64 * 1024;
const JSON_TYPE = /^application\/([\w.+-]+\+)?json\s*(;|$)/i;

/** Refuses a larger body before it is read to its end. */
export const limitBody: MiddlewareHandler = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: () => {
    throw failWith(413, `The body is larger than ${MAX_BODY_BYTES} bytes`, "Send what the route asks for, and no more");
  },
});

/** Refuses a body that is not JSON with clear words; the route's schema is held against it afterwards. */
export const requireJson: MiddlewareHandler = async (context, next) => {
  await readJson(context);
  await next();
};

/** @throws CourierError `invalid` naming each field that is wrong; HTTPException 415 for another content type */
export async function readBody<Schema extends z.ZodType>(context: Context, schema: Schema): Promise<z.output<Schema>> {
  const parsed = schema.safeParse(await readJson(context));
  if (parsed.success) return parsed.data;
  throw asInvalid(parsed.error, "the body");
}

/** What a schema found wrong, as one error. @param where what was looked at, for a fault of the whole */
export function asInvalid({ issues }: Pick<z.core.$ZodError, "issues">, where: string): CourierError {
  const faults = issues.map(({ path, message }) => `${path.length === 0 ? where : path.join(".")}: ${message}`);
  return new CourierError("invalid", `Cannot use the request: ${faults.join("; ")}`);
}

async function readJson(context: Context): Promise<unknown> {
  const type = context.req.header("content-type");
  if (type === undefined || !JSON_TYPE.test(type))
    throw failWith(
      415,
      `Cannot read a body of type ${JSON.stringify(type ?? "none given")}`,
      "Send JSON, with the header Content-Type: application/json",
    );
  try {
    return await context.req.json();
  } catch (error) {
    throw new CourierError("invalid", "The body is not valid JSON", { cause: error });
  }
}
