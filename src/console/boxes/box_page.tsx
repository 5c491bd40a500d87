// One box: what it is, how it is, its models, what is in its memory, and its jobs.
import type { JSX } from "preact";
import type { AgentDocument } from "../../documents/agents.ts";
import { Meter } from "../parts/bar.tsx";
import { Facts, Panel } from "../parts/panel.tsx";
import { Status } from "../parts/status.tsx";
import { Ago, Foreign, pairText } from "../parts/text.tsx";
import { addressOf } from "../shell/router.ts";
import { useFleet, useMay, useServerNow } from "../shell/use_fleet.ts";
import { Labels } from "./box_columns.tsx";
import { BoxDoctor } from "./box_doctor.tsx";
import { clockTrouble, gpuMemoryOf, isDiskLow } from "./box_facts.ts";
import { BoxJobs } from "./box_jobs.tsx";
import { BoxLists } from "./box_models.tsx";
import { isAway, statusOf } from "./box_status.ts";
import { DiskPanel } from "./disk/disk_panel.tsx";

export function BoxPage({ name }: { readonly name: string }): JSX.Element {
  const box = useFleet((fleet) => fleet.agent(name));
  const contact = useFleet((fleet) => fleet.contact);
  const [mayExamine, mayMeasure] = [useMay("examine"), useMay("disk_usage")];
  if (box === undefined) return <NoBox name={name} isLoading={contact === "connecting"} />;
  return (
    <>
      <BoxHead box={box} />
      <div class="columns">
        <div class="column">
          <BoxJobs box={name} />
          <BoxLists box={box} />
          {mayMeasure && <DiskPanel box={box} isAway={isAway(box)} />}
        </div>
        <div class="column side">
          <Machine box={box} />
          {mayExamine && <BoxDoctor box={name} />}
        </div>
      </div>
    </>
  );
}

function BoxHead({ box }: { readonly box: AgentDocument }): JSX.Element {
  const nowMs = useServerNow(1_000);
  const { tone, words, reason } = statusOf(box, nowMs);
  return (
    <div class="page-head box-head">
      <a class="up" href={addressOf("boxes")}>
        Boxes
      </a>
      <h1>{box.agent}</h1>
      <Status tone={tone}>
        {words}
        {reason !== "" && <Foreign class="quiet reason" text={reason} />}
      </Status>
      {isAway(box) && (
        <p class="notice">
          Last seen <Ago at={box.last_seen_at} nowMs={nowMs} />. Everything below is as the box last reported it.
        </p>
      )}
    </div>
  );
}

function Machine({ box }: { readonly box: AgentDocument }): JSX.Element {
  const { disk, platform, ollama, key_id: key, key_status: keyStatus } = box;
  return (
    <Panel title="Machine">
      <Gauges box={box} />
      <Facts
        facts={[
          ["Agent", box.agent_version],
          ["Ollama", ollama.version],
          ["Platform", platform === null ? null : `${platform.os}, ${platform.arch}`],
          ["Models folder", disk === null ? null : <Foreign text={disk.path} />],
          ["Labels", Object.keys(box.labels ?? {}).length === 0 ? null : <Labels box={box} />],
          ["Key", key === undefined ? "None (unsigned)" : <code>{key}</code>],
          ["Key status", keyStatus],
          ["Clock", clockTrouble(box)],
        ]}
      />
    </Panel>
  );
}

function Gauges({ box: { disk, memory, gpus } }: { readonly box: AgentDocument }): JSX.Element {
  return (
    <div class="gauges">
      <GpuGauges gpus={gpus ?? []} />
      {disk !== null && (
        <Gauge
          title="Disk with the models"
          used={disk.total_bytes - disk.free_bytes}
          total={disk.total_bytes}
          what="Disk"
          isWarning={isDiskLow(disk)}
        />
      )}
      {memory !== null && (
        <Gauge
          title="Main memory"
          used={memory.total_bytes - memory.available_bytes}
          total={memory.total_bytes}
          what="Main memory"
        />
      )}
    </div>
  );
}

/** GPUs of one kind are one gauge: a machine often has eight of them. */
function GpuGauges({ gpus }: { readonly gpus: NonNullable<AgentDocument["gpus"]> }): JSX.Element {
  const kinds = Map.groupBy(gpus, ({ name }) => name);
  return (
    <>
      {[...kinds].map(([name, alike]) => {
        const memory = gpuMemoryOf({ gpus: alike });
        return (
          <div class="gauge" key={name}>
            <div class="gauge-head">
              <Foreign text={alike.length === 1 ? name : `${alike.length} × ${name}`} />
              <span class="figure">{memory === null ? "unknown" : `${pairText(memory.used, memory.total)} used`}</span>
            </div>
            <div class="gauge-bars">
              {alike.map(({ uuid, index, memory_used_bytes: used, memory_total_bytes: total }) => (
                <Meter key={uuid} value={(used ?? 0) / (total || 1)} label={`Memory of GPU ${index} used`} />
              ))}
            </div>
          </div>
        );
      })}
    </>
  );
}

interface GaugeProps {
  readonly title: string;
  readonly used: number | null;
  readonly total: number | null;
  readonly what: string;
  readonly isWarning?: boolean;
}

function Gauge({ title, used, total, what, isWarning = false }: GaugeProps): JSX.Element {
  const isKnown = used !== null && total !== null && total > 0;
  const text = isKnown ? `${pairText(used, total)} used` : "unknown";
  return (
    <div class="gauge">
      <div class="gauge-head">
        <Foreign text={title} />
        <span class="figure">{text}</span>
      </div>
      {isKnown && <Meter value={used / total} label={`${what}: ${text}`} isWarning={isWarning} />}
    </div>
  );
}

function NoBox({ name, isLoading }: { readonly name: string; readonly isLoading: boolean }): JSX.Element {
  return (
    <>
      <div class="page-head box-head">
        <a class="up" href={addressOf("boxes")}>
          Boxes
        </a>
        <h1>{name}</h1>
      </div>
      <p class="empty">{isLoading ? "Loading boxes…" : "No box has this name, or you may not see it."}</p>
    </>
  );
}
