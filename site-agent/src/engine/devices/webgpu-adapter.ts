/** What a process that used WebGPU saw of its adapter. ONNX Runtime names none. */
export interface AdapterTraces {
  readonly platform: NodeJS.Platform;
  /** Linux: files of the libraries in the process. */
  readonly libraries: readonly string[];
  /** Linux: device files that it holds open. */
  readonly deviceFiles: readonly string[];
  /** Linux: PCI vendors of the graphics devices that it holds open, as "0x10de". */
  readonly vendors: readonly string[];
  /** Linux: models that NVIDIA's driver reports. */
  readonly nvidiaModels: readonly string[];
}

export interface Adapter {
  /** As for a log: "NVIDIA H200 through Vulkan". */
  readonly name: string;
  /** It computes on the processor. */
  readonly software: boolean;
}

const interfaces: Partial<Record<NodeJS.Platform, string>> = { darwin: "Metal", win32: "Direct3D 12" };
const vendorNames: Readonly<Record<string, string>> = {
  "0x1002": "AMD graphics",
  "0x10de": "NVIDIA graphics",
  "0x8086": "Intel graphics",
};
const graphicsDevice = /^\/dev\/(nvidia\d+|dri\/(renderD|card)\d+|dxg|mali\d+)$/;
const softwareDrivers: readonly (readonly [RegExp, string])[] = [
  [/swiftshader/, "SwiftShader"],
  [/vulkan_lvp|llvmpipe/, "llvmpipe"],
];

/** A Vulkan driver that holds no device of the kernel open computes on the processor. */
export function adapterOf({ platform, libraries, deviceFiles, vendors, nvidiaModels }: AdapterTraces): Adapter {
  const through = interfaces[platform];
  if (through !== undefined) return { name: `a graphics device through ${through}`, software: false };
  if (deviceFiles.some((file) => graphicsDevice.test(file))) {
    const nvidia = deviceFiles.some((file) => file.startsWith("/dev/nvidia")) ? nvidiaModels[0] : undefined;
    const vendor = vendors.map((id) => vendorNames[id]).find((name) => name !== undefined);
    return { name: `${nvidia ?? vendor ?? "a graphics device"} through Vulkan`, software: false };
  }
  const driver = softwareDrivers.find(([pattern]) => libraries.some((library) => pattern.test(library)))?.[1];
  return { name: `${driver ?? "a Vulkan driver"} on the processor`, software: true };
}
