// The leftovers on a measured disk: unfinished downloads, and blobs that no model needs.
import type { JSX } from "preact";
import { formatBytes } from "../../../base/format.ts";
import { Ago, Foreign, plural } from "../../parts/text.tsx";
import { addressOf } from "../../shell/router.ts";
import { useServerNow } from "../../shell/use_fleet.ts";
import type { Usage } from "./disk_facts.ts";

type Leftover = Usage["partials"][number];

export function Leftovers({ usage }: { readonly usage: Usage }): JSX.Element {
  const { partials, orphans, note } = usage;
  return (
    <div>
      {note !== undefined && <Foreign class="notice wrapped" text={note} />}
      {partials.length + orphans.length === 0 && (
        <p class="quiet none">Nothing is left over from downloads or deletes.</p>
      )}
      <Group title={plural(partials.length, "unfinished download")} bytes={usage.partials_bytes} leftovers={partials} />
      <Group title={plural(orphans.length, "orphaned blob")} bytes={usage.orphans_bytes} leftovers={orphans} />
    </div>
  );
}

interface GroupProps {
  readonly title: string;
  readonly bytes: number;
  readonly leftovers: readonly Leftover[];
}

function Group({ title, bytes, leftovers }: GroupProps): JSX.Element | null {
  const nowMs = useServerNow(60_000);
  if (leftovers.length === 0) return null;
  return (
    <details>
      <summary>{`${title}, ${formatBytes(bytes)}`}</summary>
      <ul class="leftovers">
        {leftovers.map(({ digest, bytes: size, changed_at: changed, model, job_id: job }) => (
          <li key={digest}>
            <span class="grow">
              {model === null ? <code>{shortDigest(digest)}</code> : <Origin model={model} job={job} />}
            </span>
            <span class="quiet">
              <Ago at={changed} nowMs={nowMs} />
            </span>
            <span>{formatBytes(size)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

function Origin({ model, job }: { readonly model: string; readonly job: string | null }): JSX.Element {
  if (job === null) return <Foreign class="wrapped" text={model} />;
  return (
    <a href={addressOf("jobs", job)}>
      <Foreign class="wrapped" text={model} />
    </a>
  );
}

/** `sha256:ac896e5b8b34` */
function shortDigest(digest: string): string {
  return digest.slice(0, 19);
}
