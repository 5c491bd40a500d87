// What doctor finds of the share and of all boxes, made when somebody asks: troubles first, what is in order folded.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { DoctorDocument } from "../../documents/doctor.ts";
import { Action } from "../parts/button.tsx";
import { CheckList } from "../parts/check_list.tsx";
import { Panel } from "../parts/panel.tsx";
import { Status } from "../parts/status.tsx";
import { plural } from "../parts/text.tsx";
import { useActing, useConsole } from "../shell/console.ts";

type Checks = DoctorDocument["checks"];

export function DoctorPanel(): JSX.Element {
  const { api } = useConsole();
  const act = useActing();
  const [found, setFound] = useState<DoctorDocument>();
  const [isAsking, setAsking] = useState(false);
  const examine = async (): Promise<void> => {
    setAsking(true);
    await act(async () => setFound(await api.get<DoctorDocument>("v1/doctor")));
    setAsking(false);
  };
  return (
    <Panel title="Doctor" aside={<Action run={examine}>{found === undefined ? "Check all" : "Check again"}</Action>}>
      <div role="status">
        {isAsking && <p class="quiet none">Checking…</p>}
        {!isAsking && found === undefined && (
          <p class="quiet none">Checks the share from this server, and pings every box: its clock, key and versions.</p>
        )}
        {!isAsking && found !== undefined && <Found checks={found.checks} />}
      </div>
    </Panel>
  );
}

function Found({ checks }: { readonly checks: Checks }): JSX.Element {
  const of = (result: Checks[number]["result"]): Checks => checks.filter((check) => check.result === result);
  const [failed, warnings, fine] = [of("failed"), of("warning"), of("ok")];
  return (
    <>
      <p class="none">
        <Status tone={failed.length > 0 ? "bad" : warnings.length > 0 ? "warn" : "good"}>
          {summaryOf(failed.length, warnings.length)}
        </Status>
      </p>
      <CheckList checks={[...failed, ...warnings]} hasSubject />
      {fine.length > 0 && (
        <details open={failed.length + warnings.length === 0}>
          <summary>{`${plural(fine.length, "check")} passed`}</summary>
          <CheckList checks={fine} hasSubject />
        </details>
      )}
    </>
  );
}

function summaryOf(failed: number, warnings: number): string {
  if (failed === 0 && warnings === 0) return "All checks passed";
  const parts = [
    failed > 0 ? plural(failed, "check failed", "checks failed") : "",
    warnings > 0 ? plural(warnings, "warning") : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}
