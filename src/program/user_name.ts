// The user that this process runs as.
import { userInfo } from "node:os";

/** A user id without an entry in the user database has no name. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}
