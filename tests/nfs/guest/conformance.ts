// The conformance suite on the share driver, in a folder below TMPDIR, with the rhythm that its file system gets. Runs on a client
// of the virtual machine; its name keeps it out of every other run.
import { ShareFolder } from "#tests/support/sites/share_folder.ts";
import { describeTransport } from "#tests/transport/conformance/suite.ts";

describeTransport("share", { openStore: async () => new ShareFolder(), cannot: {} });
