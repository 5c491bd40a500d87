// The conformance suite on the share driver as it works on a local disk. Imports the driver's harness.
import { describeTransport } from "#tests/conformance/suite.ts";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";

describeTransport("share, local", {
  openStore: async () => new ShareFolder({ watch: "local" }),
  cannot: {},
});
