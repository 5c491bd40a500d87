// The mirror as a caller sees it that is limited to some agents: it may look, and changes nothing for all.
import { asCourierError, CourierError } from "../../../base/errors.ts";
import { withoutPlace } from "../../../courier/index/share_away.ts";
import type { FetchDocument } from "../../../documents/models/mirror.ts";
import type { ServerMirror } from "./server_mirror.ts";

export type FleetMirror = Pick<
  ServerMirror,
  "folder" | "list" | "fetchDocuments" | "hasFetch" | "fetchDocument" | "add" | "cancel" | "remove" | "collect"
>;

/** @param agents all that the caller sees */
export function scopedMirror(mirror: FleetMirror, agents: ReadonlySet<string>): FleetMirror {
  const shown = ({ pulls, ...fetch }: FetchDocument): FetchDocument => ({
    ...fetch,
    error: fetch.error === null ? null : withoutPlace(new CourierError(fetch.code ?? "internal", fetch.error)).message,
    ...(pulls === undefined ? {} : { pulls: pulls.filter(({ agent }) => agents.has(agent)) }),
  });
  const refuse = (): never => {
    throw new CourierError("forbidden", "The mirror is that of the whole fleet");
  };
  return {
    folder: null,
    list: async () => {
      try {
        return await mirror.list();
      } catch (error) {
        throw withoutPlace(asCourierError(error));
      }
    },
    fetchDocuments: () => mirror.fetchDocuments().map(shown),
    hasFetch: (id) => mirror.hasFetch(id),
    fetchDocument: (id) => shown(mirror.fetchDocument(id)),
    add: refuse,
    cancel: async () => refuse(),
    remove: async () => refuse(),
    collect: async () => refuse(),
  };
}
