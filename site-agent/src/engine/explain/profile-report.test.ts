import { describe, expect, it } from "vitest";
import { profileReport } from "./profile-report.js";

interface Event {
  readonly op: string;
  readonly us: number;
  readonly bytes?: number;
}

const node = ({ op, us, bytes }: Event) => ({
  ...{ cat: "Node", name: `${op}.1_kernel_time`, dur: us, ts: 0, ph: "X" },
  args: {
    ...{ op_name: op, node_index: "1", provider: "CPUExecutionProvider", output_type_shape: [{ float: [2, 5] }] },
    input_type_shape: [{ float: [2, 3] }, { float: [3, 5] }],
    ...(bytes === undefined ? {} : { mem_bytes_requested_in_use: String(bytes) }),
  },
});

const others = [
  { cat: "Session", name: "model_loading_array", dur: 10_000, args: {} },
  { cat: "Node", name: "Gemm.1_fence_before", dur: 5000, args: { op_name: "Gemm" } },
  "no event",
];
const step = (us: number) => [
  node({ op: "Loop", us: 100 * us }),
  node({ op: "Gemm", us: 3 * us, bytes: 10 * us }),
  node({ op: "Gemm", us: 5 * us, bytes: 7 }),
  node({ op: "Add", us: 2 * us }),
];

describe("profileReport", () => {
  const report = profileReport({
    events: [...others, ...step(9000), ...step(1000), ...step(2000)],
    stepsMs: [900, 20, 40],
  });

  it("leaves out the warm-up, and loops because their nodes count already", () => {
    expect(report.stepMs).toBe(30);
    expect(report.nodesMs).toBe(15);
    expect(report.operators).toEqual([
      { op: "Gemm", milliseconds: 12, share: 0.8, calls: 2 },
      { op: "Add", milliseconds: 3, share: 0.2, calls: 1 },
    ]);
  });

  it("says how fast products are", () => {
    const [gemm, add] = report.nodes;
    expect(gemm).toMatchObject({
      op: "Gemm",
      inputs: [
        [2, 3],
        [3, 5],
      ],
      output: [2, 5],
    });
    expect(gemm?.gigaflops).toBeCloseTo((2 * 60) / 12 / 1e6, 12);
    expect(add).not.toHaveProperty("gigaflops");
  });

  it("knows the most that was allocated, the warm-up included", () => expect(report.arenaBytes).toBe(90_000));

  it("survives a profile without nodes", () => {
    expect(profileReport({ events: {}, stepsMs: [] })).toEqual({ stepMs: 0, nodesMs: 0, operators: [], nodes: [] });
  });
});
