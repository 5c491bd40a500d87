// Failures of the mirror's files, in words.
import { expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { mirrorFailure } from "#src/transport/mirror/failures.ts";

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** What a block throws that ends with `error`, and whose file then fails as it is closed. */
function thrownWith(error: Error): unknown {
  const close = (): never => {
    throw systemError("EPERM");
  };
  try {
    using _ = { [Symbol.dispose]: close };
    throw error;
  } catch (thrown) {
    return thrown;
  }
}

test("mirrorFailure() reports why the work ended, where closing its file failed as well", () => {
  const cancelled = new CourierError("cancelled", "Cancelled");
  expect(mirrorFailure("write the mirror", "/m", thrownWith(cancelled))).toBe(cancelled);
  expect(mirrorFailure("write the mirror", "/m", thrownWith(systemError("ENOSPC")))).toMatchObject({
    code: "exhausted",
    message: "Cannot write the mirror in /m: ENOSPC",
  });
});

test("mirrorFailure() asks who may write, and not whether the share is mounted, where that is not permitted", () => {
  for (const code of ["EACCES", "EPERM"])
    expect(mirrorFailure("write the mirror", "/m", systemError(code))).toMatchObject({
      code: "forbidden",
      hint: "Check who may read and write it on this machine",
    });
});
