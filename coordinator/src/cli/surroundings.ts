import type { Clock } from "@consilium/shared/clock.js";
import type { LogLevel } from "@consilium/shared/log.js";
import type { TextStream } from "@consilium/shared/terminal/output.js";
import type { InitOptions, InitReport } from "../init.js";
import type { Admin } from "../rpc/admin-types.js";
import type { ExportEncoder } from "./encoder-exporter.js";
import type { Profile } from "./profile.js";

/** Everything a command may touch; built once in main.ts, replaced by tests. */
export interface Surroundings {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's own folder. */
  readonly userFolder: string;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly newRequestId: () => string;
  /** Fires when the user or the system asks the command to stop. */
  readonly signal: AbortSignal;
  readonly connect: (profile: Profile) => Promise<Admin> | Admin;
  readonly initCoordinator: (options: InitOptions) => Promise<InitReport>;
  readonly serveCoordinator: (options: ServeOptions) => Promise<RunningCoordinator>;
  /** @throws ConsiliumError "config-missing" when the site agent's package is not installed. */
  readonly findEncoderExporter: () => ExportEncoder;
}

export interface ServeOptions {
  readonly home: string;
  readonly logLevel: LogLevel;
}

export interface RunningCoordinator {
  /** Addresses and names worth telling the operator. */
  readonly ready: Readonly<Record<string, string | number>>;
  stop(): Promise<void>;
}
