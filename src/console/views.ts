// The views of the console, in the order of the navigation.
import { AccessPage } from "./access/access_page.tsx";
import { BoxesPage } from "./boxes/boxes_page.tsx";
import { JobsPage } from "./jobs/jobs_page.tsx";
import { MirrorPage } from "./mirror/mirror_page.tsx";
import { ModelsPage } from "./models/models_page.tsx";
import { SetupPage } from "./setup/setup_page.tsx";
import type { View } from "./shell/view.ts";

export const VIEWS: readonly View[] = [
  { id: "boxes", title: "Boxes", Page: BoxesPage },
  { id: "models", title: "Models", Page: ModelsPage },
  { id: "mirror", title: "Mirror", Page: MirrorPage, needsMirror: true },
  { id: "jobs", title: "Jobs", Page: JobsPage },
  { id: "access", title: "Access", Page: AccessPage, needs: ["manage_tokens", "read_audit"] },
  { id: "setup", title: "Setup", Page: SetupPage, needs: ["show_setup", "examine"] },
];
