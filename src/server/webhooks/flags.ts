// The flags of webhooks.
import { flag, parse } from "../../program/flags.ts";

const GROUP = "Webhooks:";

export const webhookFlags = {
  webhook: () =>
    flag("--webhook <url>", "send events there: ends of jobs, agents that go away or come back; repeatable")
      .helpGroup(GROUP)
      .argParser(parse.list((url) => url)),
  webhookSecretFile: () =>
    flag("--webhook-secret-file <file>", "the secret that signs them, whsec_BASE64, in a file of mode 0600").helpGroup(
      GROUP,
    ),
  webhookCa: () =>
    flag("--webhook-ca <file>", "certificates (PEM) to trust there instead of the usual ones").helpGroup(GROUP),
};
