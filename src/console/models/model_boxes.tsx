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
import { useFit } from "./facts/use_fit.ts";
import { FitLine, FitWords } from "./pulls/fit_words.tsx";

export function ModelBoxes({
  model: { name: model, agents, remote_host: host },
}: {
  readonly model: FleetModel;
}): JSX.Element {
  const boxes = useFleet((fleet) => fleet.agents);
  const names = useMemo(() => agents.toSorted(compareNames), [agents]);
  const fit = useFit(host === undefined ? model : undefined);
  const fits = new Map(fit.document?.agents.map((each) => [each.agent, each]));
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
              <FitWords fit={fits.get(name)} />
              {disk !== null && <span class="quiet figure">{`${formatBytes(disk.free_bytes)} free`}</span>}
            </li>
          );
        })}
      </ul>
      {fit.document?.state === "published" && <FitLine fit={fit} />}
    </Panel>
  );
}
