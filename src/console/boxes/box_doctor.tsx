// The checks of one box: what `gpuctl doctor` finds of it, made when somebody asks.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { DoctorDocument } from "../../documents/doctor.ts";
import { Action } from "../parts/button.tsx";
import { CheckList } from "../parts/check_list.tsx";
import { Panel } from "../parts/panel.tsx";
import { useActing, useConsole } from "../shell/console.ts";

export function BoxDoctor({ box }: { readonly box: string }): JSX.Element {
  const { api } = useConsole();
  const act = useActing();
  const [checks, setChecks] = useState<DoctorDocument["checks"]>();
  const examine = async (): Promise<void> => {
    await act(async () => {
      const document = await api.get<DoctorDocument>("v1/doctor");
      setChecks(document.checks.filter(({ subject }) => subject === box));
    });
  };
  return (
    <Panel
      title="Checks"
      aside={<Action run={examine}>{checks === undefined ? "Check this box" : "Check again"}</Action>}
    >
      <div role="status">
        {checks === undefined && <p class="quiet none">Pings the box and checks its clock, key and versions.</p>}
        {checks?.length === 0 && <p class="quiet none">No checks for this box.</p>}
        {checks !== undefined && <CheckList checks={checks} hasSubject={false} />}
      </div>
    </Panel>
  );
}
