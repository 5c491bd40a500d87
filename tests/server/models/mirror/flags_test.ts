// Which mirror gpu-server's flags mean.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { mirrorSettings } from "#src/server/models/mirror/flags.ts";

const [SHARE, OTHER, NATS] = ["share:/mnt/one", "/mnt/two", "nats://bus.example"] as const;

describe("mirrorSettings()", () => {
  test("is the mirror of the first share, as for gpuctl", () => {
    expect(mirrorSettings({ mirror: true }, [NATS, SHARE, OTHER])).toEqual({ share: "/mnt/one", bytesPerSecond: null });
    expect(mirrorSettings({ mirror: true, fetchRate: 5e6 }, [OTHER])).toEqual({
      share: "/mnt/two",
      bytesPerSecond: 5e6,
    });
  });

  test("is null without --mirror", () => {
    expect(mirrorSettings({ mirror: false }, [SHARE])).toBeNull();
  });

  test("refuses --mirror without a share, with a hint, unless a folder is named", () => {
    const ask = () => mirrorSettings({ mirror: true }, [NATS]);
    expect(ask).toThrow(CourierError);
    expect(ask).toThrow("--mirror needs a shared folder");
    expect(mirrorSettings({ mirror: true, mirrorFolder: "/srv/models" }, [NATS])?.share).toBe("/srv/models");
  });
});
