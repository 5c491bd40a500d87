// The conformance suite on the share driver on a local disk.
import { describeTransport } from "#tests/conformance/suite.ts";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";

describeTransport("share, local", {
  openStore: async () => new ShareFolder({ watch: "local" }),
  cannot: {},
});
