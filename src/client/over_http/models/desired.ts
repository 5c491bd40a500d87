// Where the fleet differs from the file that gpu-server keeps it to.
import { asCourierError } from "../../../base/errors.ts";
import { DesiredDocument } from "../../../documents/models/desired.ts";
import { tooOld } from "../failures.ts";
import type { ServerHttp } from "../http.ts";

/** @throws CourierError `unimplemented` for an older server */
export async function readDesired(http: ServerHttp, signal: AbortSignal | undefined): Promise<DesiredDocument> {
  try {
    return await http.get("/v1/desired", DesiredDocument, { signal });
  } catch (error) {
    throw asCourierError(error).code === "not_found" ? tooOld(http.base, "GET /v1/desired") : error;
  }
}
