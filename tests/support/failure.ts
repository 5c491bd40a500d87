// What a promise that must fail fails with.
import { CourierError } from "#src/base/errors.ts";

/** The `CourierError` that `promise` rejects with; throws when it resolves, or rejects with anything else. */
export async function failure(promise: Promise<unknown>): Promise<CourierError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CourierError)) throw new Error(`Not a CourierError: ${String(error)}`, { cause: error });
  return error;
}
