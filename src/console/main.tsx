// The console's page: puts the shell and its views into the document.
import { render } from "preact";
import { Session } from "./session.ts";
import { App } from "./shell/app.tsx";
import { Router } from "./shell/router.ts";
import { Toasts } from "./shell/toasts.ts";
import { FleetStore } from "./store/fleet_store.ts";
import { Pace } from "./store/pace.ts";
/* oxlint-disable import/no-unassigned-import -- the bundler makes a file of its own of it */
// @ts-expect-error -- TypeScript knows no style sheets
import "./style/main.css";
import { VIEWS } from "./views.ts";

const session = new Session();
const pace = new Pace(sessionStorage);
const fleet = new FleetStore(pace);
addEventListener("pagehide", () => pace.save());

const root = document.getElementById("console");
if (root !== null) {
  const shared = { session, api: session.api, fleet, router: new Router(), toasts: new Toasts() };
  render(<App console={shared} views={VIEWS} />, root);
}
