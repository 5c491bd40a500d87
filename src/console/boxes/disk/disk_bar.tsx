// The picture of a whole disk: one bar, and a legend with the size of each part.
import type { JSX } from "preact";
import { formatBytes } from "../../../base/format.ts";
import { partsOf, type Usage } from "./disk_facts.ts";

export function DiskBar({ usage }: { readonly usage: Usage }): JSX.Element {
  const parts = partsOf(usage);
  return (
    <div>
      {/* The legend says the same in words. */}
      <div class="disk-bar" aria-hidden="true">
        {parts.map(({ id, bytes }) => (
          <span key={id} class={`part ${id}`} style={{ flexGrow: String(bytes / usage.total_bytes) }} />
        ))}
      </div>
      <ul class="legend" aria-label={`Disk of ${formatBytes(usage.total_bytes)}`}>
        {parts.map(({ id, title, bytes }) => (
          <li key={id}>
            <span class={`swatch part ${id}`} aria-hidden="true" />
            <span class="quiet">{title}</span> {formatBytes(bytes)}
          </li>
        ))}
      </ul>
    </div>
  );
}
