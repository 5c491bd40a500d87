// The log of changes: the newest entries first, older ones a page at a time.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { AuditDocument, AuditEntry } from "../../documents/audit.ts";
import { Action } from "../parts/button.tsx";
import { Failure, Panel } from "../parts/panel.tsx";
import { Status } from "../parts/status.tsx";
import { Ago, Foreign } from "../parts/text.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { useDocument } from "../shell/use_document.ts";
import { useFleet, useServerNow } from "../shell/use_fleet.ts";
import { deedOf, detailText } from "./audit_words.ts";

const PAGE = 50;
const PATH = `v1/audit?limit=${PAGE}`;

/** @param changes that were made beside it */
export function AuditPanel({ changes }: { readonly changes: number }): JSX.Element {
  const { api } = useConsole();
  const act = useActing();
  const readings = useFleet((fleet) => fleet.readings);
  const { document: newest, failure, again } = useDocument<AuditDocument>(PATH, `${changes} ${readings}`);
  const [older, setOlder] = useState<Pick<AuditDocument, "entries" | "next">>();
  // After it was read again, the pages after it begin elsewhere.
  useEffect(() => setOlder(undefined), [newest]);
  const next = older === undefined ? newest?.next : older.next;
  const readOlder = async (): Promise<void> => {
    const page = await api.get<AuditDocument>(`${PATH}&after=${encodeURIComponent(next ?? "")}`);
    const entries = [...(older?.entries ?? []), ...page.entries];
    setOlder(page.next === undefined ? { entries } : { entries, next: page.next });
  };
  const entries = [...(newest?.entries ?? []), ...(older?.entries ?? [])];
  return (
    <Panel title="Audit log" aside={<Action run={again}>Refresh</Action>}>
      {failure !== undefined && <Failure failure={failure} />}
      {newest !== undefined && entries.length === 0 && <p class="quiet none">No changes yet.</p>}
      <ol class="list audit" aria-label="Audit log">
        {entries.map((entry) => (
          <Entry key={entry.number} entry={entry} />
        ))}
      </ol>
      {next !== undefined && (
        <p class="more">
          <Action run={async () => await act(readOlder)}>Show older entries</Action>
        </p>
      )}
    </Panel>
  );
}

function Entry({ entry }: { readonly entry: AuditEntry }): JSX.Element {
  const { at, who, way, peer, request, outcome, details } = entry;
  const deed = deedOf(entry);
  const nowMs = useServerNow(30_000);
  const from = [way, peer].filter((part) => part !== null).join(", ");
  return (
    <li>
      <div class="grow">
        <Foreign class="wrapped" text={deed} />
        <span class="quiet detail">
          <Foreign class="wrapped" text={`by ${who ?? "gpu-server"}${from === "" ? "" : ` (${from})`}`} />
          {details !== null && <Foreign class="wrapped" text={detailText(details)} />}
          {request !== null && request !== deed && <Foreign class="wrapped request" text={request} />}
        </span>
      </div>
      <Status tone={outcome === "ok" ? "good" : outcome === null ? "idle" : "bad"}>
        {outcome === null ? "unknown" : outcome.replaceAll("_", " ")}
      </Status>
      <span class="quiet when">
        <Ago at={at} nowMs={nowMs} />
      </span>
    </li>
  );
}
