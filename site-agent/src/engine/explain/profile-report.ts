import { z } from "zod";
import { flopsOf } from "./flops.js";

/** Reads the profile that ONNX Runtime writes: a list of events, of which the runs of single nodes count here. */

const typedShape = z.record(z.string(), z.array(z.number()));

const nodeEvent = z.looseObject({
  cat: z.literal("Node"),
  name: z.string().endsWith("_kernel_time"),
  /** Microseconds. */
  dur: z.number(),
  args: z.looseObject({
    op_name: z.string(),
    input_type_shape: z.array(typedShape).default([]),
    output_type_shape: z.array(typedShape).default([]),
    /** Bytes that the arena has handed out, counted as they were asked for; absent on some providers. */
    mem_bytes_requested_in_use: z.string().optional(),
  }),
});

export interface OperatorTime {
  readonly op: string;
  /** Per step. */
  readonly milliseconds: number;
  /** Of the time of all nodes. */
  readonly share: number;
  /** Per step. */
  readonly calls: number;
}

/** All nodes with the same operator and shapes. */
export interface NodeTime extends OperatorTime {
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
  /** 10⁹ floating-point operations per second; only for products. */
  readonly gigaflops?: number;
}

export interface ProfileReport {
  /** Wall time of a step, the mean over those that count. */
  readonly stepMs: number;
  /** Sum over the nodes of a step. */
  readonly nodesMs: number;
  readonly operators: readonly OperatorTime[];
  readonly nodes: readonly NodeTime[];
  /** Most that the arena had handed out at once, in bytes. */
  readonly arenaBytes?: number;
}

export interface ProfiledRun {
  /** The profile file's content, parsed as JSON. */
  readonly events: unknown;
  /** Wall time of every step; the first is a warm-up and does not count when there are others. */
  readonly stepsMs: readonly number[];
}

/** Loops contain other nodes, whose time would count twice. */
const containers: ReadonlySet<string> = new Set(["If", "Loop", "Scan"]);

export function profileReport({ events, stepsMs }: ProfiledRun): ProfileReport {
  const all = nodesOf(events).filter(({ op }) => !containers.has(op));
  const counted = stepsMs.length > 1 ? stepsMs.slice(1) : stepsMs;
  const steps = Math.max(1, counted.length);
  const nodes = all.slice(all.length - Math.round((all.length * counted.length) / Math.max(1, stepsMs.length)));
  const nodesMs = nodes.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / steps;
  const arena = all.map(({ arenaBytes }) => arenaBytes).filter((bytes) => bytes !== undefined);
  const timesOf = (key: (node: NodeRun) => string) => grouped(nodes, { key, steps, nodesMs });
  return {
    stepMs: counted.reduce((sum, ms) => sum + ms, 0) / steps,
    nodesMs,
    operators: timesOf(({ op }) => op).map(([, { op, milliseconds, share, calls }]) => {
      return { op, milliseconds, share, calls };
    }),
    nodes: timesOf(({ op, inputs, output }) => JSON.stringify([op, inputs, output])).map(([run, time]) =>
      nodeTime(run, time),
    ),
    ...(arena.length === 0 ? {} : { arenaBytes: arena.reduce((most, bytes) => Math.max(most, bytes)) }),
  };
}

interface NodeRun {
  readonly op: string;
  readonly milliseconds: number;
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
  readonly arenaBytes: number | undefined;
}

function nodesOf(events: unknown): NodeRun[] {
  if (!Array.isArray(events)) return [];
  return events.flatMap((event): NodeRun[] => {
    const { data } = nodeEvent.safeParse(event);
    if (data === undefined) return [];
    const { op_name: op, input_type_shape: inputs, output_type_shape: outputs } = data.args;
    const bytes = data.args.mem_bytes_requested_in_use;
    return [
      {
        ...{ op, milliseconds: data.dur / 1000, inputs: inputs.map(shapeOf), output: shapeOf(outputs[0] ?? {}) },
        arenaBytes: bytes === undefined ? undefined : Number(bytes),
      },
    ];
  });
}

/** `{ float: [2, 3] }` → `[2, 3]`. */
function shapeOf(typed: Readonly<Record<string, readonly number[]>>): readonly number[] {
  return Object.values(typed)[0] ?? [];
}

interface Grouping {
  readonly key: (node: NodeRun) => string;
  readonly steps: number;
  readonly nodesMs: number;
}

/** One node of each group with the group's time, the longest first. */
function grouped(nodes: readonly NodeRun[], { key, steps, nodesMs }: Grouping): [NodeRun, OperatorTime][] {
  const groups = new Map<string, NodeRun[]>();
  for (const node of nodes) {
    const group = groups.get(key(node));
    if (group === undefined) groups.set(key(node), [node]);
    else group.push(node);
  }
  return [...groups.values()]
    .map((group): [NodeRun, OperatorTime] => {
      const milliseconds = group.reduce((sum, node) => sum + node.milliseconds, 0) / steps;
      const share = nodesMs === 0 ? 0 : milliseconds / nodesMs;
      return [group[0]!, { op: group[0]!.op, milliseconds, share, calls: group.length / steps }];
    })
    .sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
}

function nodeTime({ op, inputs, output }: NodeRun, time: OperatorTime): NodeTime {
  const flops = flopsOf({ op, inputs, output }) * time.calls;
  const gigaflops = flops > 0 && time.milliseconds > 0 ? { gigaflops: flops / time.milliseconds / 1e6 } : {};
  return { ...time, inputs, output, ...gigaflops };
}
