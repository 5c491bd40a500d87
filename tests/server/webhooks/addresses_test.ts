// src/server/webhooks/http/addresses.ts: where webhooks may go, however the address is written.
import { expect, test } from "bun:test";
import { refusal } from "#src/server/webhooks/http/addresses.ts";

test.each([
  "169.254.169.254",
  "169.254.0.1",
  "100.100.100.200",
  "168.63.129.16",
  "0.0.0.0",
  "192.0.0.192",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::169.254.169.254",
  "::ffff:169.254.169.254",
  "::ffff:a9fe:a9fe",
  "0:0:0:0:0:FFFF:A9FE:A9FE",
  "::ffff:0:169.254.169.254",
  "::ffff:0.0.0.1",
  "64:ff9b::169.254.169.254",
  "64:ff9b::1",
  "64:ff9b:1::169.254.169.254",
  "2002:a9fe:a9fe::1",
  "2001:0:a9fe:a9fe::",
  "fe80::1",
  "fe80::1%eth0",
  "fec0::1",
  "ff02::1",
  "fd00:ec2::254",
  "fd20:ce::254",
])("%s is refused, also over TLS", (address) => {
  expect(refusal(address, true)).toContain("link-local");
});

test.each([
  "127.0.0.1",
  "::1",
  "10.1.2.3",
  "172.31.0.1",
  "192.168.1.1",
  "100.64.0.1",
  "fd12::1",
  "::ffff:10.0.0.1",
  "::ffff:7f00:1",
])("%s is taken, also without TLS", (address) => {
  expect([refusal(address, true), refusal(address, false)]).toEqual([null, null]);
});

test.each(["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])(
  "%s is taken over TLS only",
  (address) => {
    expect([refusal(address, true), refusal(address, false)]).toEqual([null, expect.stringContaining("without TLS")]);
  },
);

test.each(["", "localhost", "1.2.3", "0x7f.1"])("%p is no address", (address) => {
  expect(refusal(address, true)).toContain("no address");
});
