import { describe, expect, it } from "vitest";
import { nearestName, suggestion } from "./nearest-name.js";

describe("nearestName", () => {
  it("finds what was meant", () => {
    const methods = ["simclr", "byol", "dino", "dinov2", "colorme"];
    expect(nearestName("dyno", methods)).toBe("dino");
    expect(nearestName("SimCLR", methods)).toBe("simclr");
    expect(nearestName("dino-v2", methods)).toBe("dinov2");
    expect(nearestName("colourme", methods)).toBe("colorme");
    expect(nearestName("tempratue", ["temperature", "projectionDim"])).toBe("temperature");
  });

  it("keeps quiet when nothing is near", () => {
    expect(nearestName("moco", ["simclr", "byol"])).toBeUndefined();
    expect(nearestName("x", [])).toBeUndefined();
    expect(suggestion("moco", ["simclr"])).toBe("");
    expect(suggestion("dyno", ["dino"])).toBe(" — did you mean 'dino'?");
  });
});
