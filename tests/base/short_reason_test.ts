// Why a pull failed, without the steps that Ollama lists in front of it.
import { expect, test } from "bun:test";
import { shortReason } from "#src/base/foreign_text.ts";

const SAYS = "Ollama at http://127.0.0.1:11434 says: pull model manifest: ";
test.each([
  [
    `${SAYS}Get "https://hub.typo/v2/a": dial tcp: lookup hub.typo on 127.0.0.53:53: no such host`,
    "hub.typo: no such host",
  ],
  [
    `${SAYS}Get "http://127.0.0.1:5999/v2/a": dial tcp 127.0.0.1:5999: connect: connection refused`,
    "127.0.0.1:5999: connection refused",
  ],
  [
    `${SAYS}Head "https://hub.typo/v2/a": read tcp 10.0.0.2:4->10.0.0.1:443: read: connection reset by peer`,
    "hub.typo: connection reset by peer",
  ],
  [
    `${SAYS}Get "https://hub.typo/v2/a": dial tcp: lookup hub.typo on 10.0.0.53:53: read udp 10.0.0.2:4->10.0.0.53:53: i/o timeout`,
    "hub.typo: its name server 10.0.0.53: i/o timeout",
  ],
  [
    `${SAYS}Get "https://hub.typo/v2/a": dial tcp: lookup hub.typo on [::1]:53: read udp [::1]:4->[::1]:53: read: connection refused`,
    "hub.typo: its name server [::1]: connection refused",
  ],
  [`${SAYS}status 500`, "the registry answers with status 500"],
  ['Cannot pull "phi4:latest": Ollama says: context deadline exceeded', "the registry sends no data"],
  [`Cannot pull "phi4:latest": ${SAYS}file does not exist`, "file does not exist"],
  ['Cannot pull "phi4:latest": Ollama says: pull model manifest: file does not exist', "file does not exist"],
  ['Cannot pull "phi4:latest" on gpu-6: 9.0 GB needed, 4.0 GB free', "9.0 GB needed, 4.0 GB free"],
  ['Cannot pull "phi4:latest": 9.0 GB needed, 4.0 GB free', "9.0 GB needed, 4.0 GB free"],
  ["made no progress for 10 s", "made no progress for 10 s"],
])("shortReason(%p) is %p", (text, reason) => {
  expect(shortReason(text)).toBe(reason);
});
