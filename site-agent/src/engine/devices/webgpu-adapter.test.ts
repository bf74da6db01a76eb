import { describe, expect, it } from "vitest";
import { type AdapterTraces, adapterOf } from "./webgpu-adapter.js";

const nothing: AdapterTraces = { platform: "linux", libraries: [], deviceFiles: [], vendors: [], nvidiaModels: [] };

describe("adapterOf", () => {
  it("names NVIDIA's device as its driver does", () => {
    const traces = { ...nothing, deviceFiles: ["/dev/nvidiactl", "/dev/nvidia0"], nvidiaModels: ["NVIDIA H200"] };
    expect(adapterOf(traces)).toEqual({ name: "NVIDIA H200 through Vulkan", software: false });
  });

  it("knows a device by the render node that is open, whichever drivers are loaded beside it", () => {
    const libraries = ["/usr/lib/libvulkan_lvp.so", "/usr/lib/libvulkan_radeon.so"];
    const traces = { ...nothing, libraries, deviceFiles: ["/dev/dri/renderD128"], vendors: ["0x1002"] };
    expect(adapterOf(traces)).toEqual({ name: "AMD graphics through Vulkan", software: false });
  });

  it.each([
    ["/usr/lib/chromium/libvk_swiftshader.so", "SwiftShader"],
    ["/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so", "llvmpipe"],
    ["/opt/libother.so", "a Vulkan driver"],
  ])("sees that %s computes on the processor", (library, name) => {
    const traces = { ...nothing, libraries: [library], deviceFiles: ["/dev/null", "/dev/nvidiactl"] };
    expect(adapterOf(traces)).toEqual({ name: `${name} on the processor`, software: true });
  });

  it("takes what Metal and Direct3D hand out for hardware", () => {
    expect(adapterOf({ ...nothing, platform: "darwin" })).toEqual({
      name: "a graphics device through Metal",
      software: false,
    });
  });
});
