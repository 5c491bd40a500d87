// The conformance suite on the share driver on a local disk.

import { ShareFolder } from "#tests/support/sites/share_folder.ts";
import { describeTransport } from "#tests/transport/conformance/suite.ts";

describeTransport("share, local", {
  openStore: async () => new ShareFolder({ watch: "local" }),
  cannot: {},
});
