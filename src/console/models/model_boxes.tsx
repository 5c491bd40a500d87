// Every box that has a model, with its free disk.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { formatBytes } from "../../base/format.ts";
import { compareNames } from "../../base/order.ts";
import { Panel } from "../parts/panel.tsx";
import { plural } from "../parts/text.tsx";
import { addressOf } from "../shell/router.ts";
import { useFleet } from "../shell/use_fleet.ts";
import type { FleetModel } from "./facts/model_facts.ts";

export function ModelBoxes({ model: { agents } }: { readonly model: FleetModel }): JSX.Element {
  const boxes = useFleet((fleet) => fleet.agents);
  const names = useMemo(() => agents.toSorted(compareNames), [agents]);
  const byName = new Map(boxes.map((box) => [box.agent, box]));
  return (
    <Panel title="Where" aside={<span class="quiet">{plural(agents.length, "box", "boxes")}</span>}>
      <ul class="list">
        {names.map((name) => {
          const box = byName.get(name);
          const disk = box?.disk ?? null;
          return (
            <li key={name}>
              <div class="grow">
                <a class="strong" href={addressOf("boxes", name)}>
                  {name}
                </a>
              </div>
              {box?.status === "offline" && <span class="quiet">away</span>}
              {disk !== null && <span class="quiet figure">{`${formatBytes(disk.free_bytes)} free`}</span>}
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}
