import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
test("x", () => { expect(1).toBe(1);
 console.log(Bun.spawnSync(["sh","-c","for c in c1 c2 c3; do $c hostname; $c /bin/ip -br addr; done; ps; lsmod | head -50; free -m; df -h; ls /sys/kernel/tracing/events/nfs | head -400 | tr '\n' ' '; ls /sys/kernel/tracing/events/sunrpc| tr '\n' ' '"]).stdout.toString());
});
