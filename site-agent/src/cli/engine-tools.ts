import { existsSync } from "node:fs";
import type { DeviceProbe } from "../engine/devices/device.js";
import { type DoctorReport, type DoctorRequest, examine } from "../engine/devices/doctor.js";
import { probeTensorflow } from "../engine/devices/tensorflow-probe.js";
import { runCommand } from "../engine/install/commands.js";
import {
  installTensorflow,
  planTensorflow,
  type TensorflowInstallRequest,
} from "../engine/install/install-tensorflow.js";
import type { TensorflowPlan } from "../engine/install/tensorflow-plan.js";

/** What the engine commands do to the machine; replaced by tests. */
export interface EngineTools {
  examine(request: DoctorRequest, onCase: (name: string) => void): Promise<DoctorReport>;
  planTensorflow(request: TensorflowInstallRequest): TensorflowPlan;
  installTensorflow(plan: TensorflowPlan, onStep: (title: string) => void): Promise<DeviceProbe>;
  hasNvidiaDriver(): boolean;
}

/** @param now milliseconds; only differences count */
export function systemEngineTools(now: () => number): EngineTools {
  return {
    examine: (request, onCase) => examine(request, { now, onCase }),
    planTensorflow,
    installTensorflow: (plan, onStep) =>
      installTensorflow(plan, {
        run: runCommand,
        probe: () => probeTensorflow({ tensorflowDirectory: plan.directory }),
        onStep,
      }),
    hasNvidiaDriver: () => existsSync("/proc/driver/nvidia/version"),
  };
}
