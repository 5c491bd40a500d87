// x
import { expect, test } from "bun:test";
import { onBox } from "./box.ts";
test("a box boots", onBox(async (box) => {
  console.log(await box.run("mount | grep shared; ls -la /srv /srv/old; systemctl status ollama mnt-shared.mount; python3 --version; hostname"));
  const t = performance.now();
  await box.reboot("orderly");
  console.log("orderly", performance.now() - t);
  await box.reboot("power cut");
  console.log("cut", performance.now() - t);
  console.log(await box.run("find / -xdev -newer /etc/hostname | head -30; find / -xdev | wc -l"));
}), 60000);
