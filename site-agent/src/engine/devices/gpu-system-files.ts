import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import type { AdapterTraces } from "./webgpu-adapter.js";

/** What Linux tells about this process's graphics devices; empty lists elsewhere. */
export function adapterTraces(): AdapterTraces {
  const deviceFiles = entries("/proc/self/fd").flatMap((fd) =>
    orNothing(() => readlinkSync(join("/proc/self/fd", fd))),
  );
  const mapped = textOf("/proc/self/maps").matchAll(/\S+\.so\S*$/gm);
  return {
    platform: process.platform,
    libraries: [...new Set([...mapped].map(([file]) => file))],
    deviceFiles: deviceFiles.filter((file) => file.startsWith("/dev/")),
    vendors: deviceFiles
      .filter((file) => file.startsWith("/dev/dri/"))
      .map((file) => textOf(`/sys/class/drm/${basename(file)}/device/vendor`).trim()),
    nvidiaModels: nvidiaModels(),
  };
}

/** The graphics cards that NVIDIA's driver serves, by name. */
function nvidiaModels(): string[] {
  return entries("/proc/driver/nvidia/gpus").flatMap((gpu) => {
    const model = /^Model:\s*(.+)$/m.exec(textOf(`/proc/driver/nvidia/gpus/${gpu}/information`))?.[1];
    return model === undefined ? [] : [model.trim()];
  });
}

function entries(directory: string): string[] {
  return orNothing(() => readdirSync(directory)).flat();
}

function textOf(file: string): string {
  return orNothing(() => readFileSync(file, "utf8")).join("");
}

/** Some of these files belong to drivers: a machine may have none of them. */
function orNothing<T>(read: () => T): T[] {
  try {
    return [read()];
  } catch {
    return [];
  }
}
