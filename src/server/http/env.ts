// What a request carries from one middleware to the next.
import type { TokenEntry } from "../store/tokens.ts";

export interface Env {
  Variables: {
    /** Absent on the listener that needs no token. */
    token?: TokenEntry;
  };
}
