import type { EngineTools } from "./engine-tools.js";

/** For tests: tools that fail when they are used, but for those that the test brings. */
export function testEngineTools(changes: Partial<EngineTools> = {}): EngineTools {
  const unexpected = () => {
    throw new Error("not called in this test");
  };
  return {
    examine: unexpected,
    planTensorflow: unexpected,
    installTensorflow: unexpected,
    hasNvidiaDriver: () => false,
    ...changes,
  };
}
