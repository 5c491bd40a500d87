// The conformance suite on the share driver as it works on a network file system: a local folder forced into that mode.
import { describeTransport } from "./conformance/suite.ts";
import { ShareFolder } from "./support/share_folder.ts";

describeTransport("share, network", {
  openStore: async () => new ShareFolder({ watch: "network" }),
  cannot: {},
});
