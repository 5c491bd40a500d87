// The view of how to add a box, and of what doctor finds.
import type { JSX } from "preact";
import { useMay } from "../shell/use_fleet.ts";
import { AddBox } from "./add_box.tsx";
import { DoctorPanel } from "./doctor_panel.tsx";

export function SetupPage(): JSX.Element {
  const [mayShow, mayExamine] = [useMay("show_setup"), useMay("examine")];
  return (
    <>
      <div class="page-head">
        <h1>Setup</h1>
      </div>
      {mayShow && <AddBox />}
      {mayExamine && <DoctorPanel />}
    </>
  );
}
