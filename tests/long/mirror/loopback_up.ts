// Turns the loopback device on in this process's network namespace, which is made without it, and holds the namespace.
import { dlopen, ptr } from "bun:ffi";

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
/** `struct ifreq`: 16 bytes of name, then the flags. */
const request = new Uint8Array(40);
request.set(new TextEncoder().encode("lo"));
request[16] = IFF_UP;

const { symbols } = dlopen("libc.so.6", {
  socket: { args: ["int", "int", "int"], returns: "int" },
  ioctl: { args: ["int", "u64", "ptr"], returns: "int" },
});
const socket = symbols.socket(AF_INET, SOCK_DGRAM, 0);
if (socket < 0 || symbols.ioctl(socket, SIOCSIFFLAGS, ptr(request)) !== 0) throw new Error("Cannot turn loopback on");
process.stdout.write("up\n");
// Until the test is gone.
await Bun.stdin.text();
