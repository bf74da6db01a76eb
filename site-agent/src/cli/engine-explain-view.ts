import { formatBytes } from "@consilium/shared/terminal/format.js";
import { type Column, fieldLines, tableLines } from "@consilium/shared/terminal/table.js";
import type { Explanation } from "../engine/explain/explain-run.js";
import type { OperationRow } from "../engine/explain/operation-counts.js";
import type { NodeTime, ProfileReport } from "../engine/explain/profile-report.js";

/** What `engine explain` shows in a terminal. */
export function explanationLines(explanation: Explanation, top: number): string[] {
  const { operations, profile } = explanation;
  return [
    ...factLines(explanation),
    "",
    ...operationLines(operations, top),
    ...(profile === undefined ? [] : ["", ...profileLines(profile, top)]),
  ];
}

function factLines(explanation: Explanation): string[] {
  const { program, device, microBatches, recompute, parameters, flops, memory, batchSize, profile } = explanation;
  const measured = profile === undefined ? [] : [speedField(flops, profile, batchSize)];
  return fieldLines([
    [
      "program",
      `${program}${partsText(microBatches)} on ${device}${recompute ? ", blocks run again in the backward pass" : ""}`,
    ],
    ["parameters", count(parameters)],
    ["products", `${giga(flops)} GFLOP in a step, ${giga(flops / batchSize)} for each image`],
    ["memory of a step", `${formatBytes(memory.totalBytes)}, ${formatBytes(memory.available)} available`],
    ["  state", `${formatBytes(memory.stateBytes)} in each of several copies: parameters and what the optimiser keeps`],
    ["  batch", `${formatBytes(memory.batchBytes)}: images and masks`],
    ["  constants", `${formatBytes(memory.constantBytes)} in the program`],
    ["  activations", `${formatBytes(memory.activationBytes)}: what waits for the backward pass or the update`],
    ["  transient", `${formatBytes(memory.transientBytes)}: what one operation works on`],
    ["batch that fits", memory.largestBatch > 0 ? `about ${count(memory.largestBatch)} images` : "none"],
    ...measured,
  ]);
}

function speedField(flops: number, { stepMs, nodesMs }: ProfileReport, batchSize: number): [string, string] {
  const speed = `${((batchSize / stepMs) * 1000).toFixed(1)} images/s, ${(flops / stepMs / 1e6).toFixed(1)} GFLOP/s`;
  return ["step", `${stepMs.toFixed(0)} ms (${nodesMs.toFixed(0)} ms in nodes), ${speed}`];
}

function operationLines(rows: readonly OperationRow[], top: number): string[] {
  const rest = rows.slice(top);
  const others = rest.length > 0 ? [sum(`${rest.length} others`, rest)] : [];
  const inRuntime = rows.some(({ runtime }) => runtime !== undefined);
  return tableLines(
    [{ title: "operations" }, number("traced"), number("optimised"), ...(inRuntime ? [number("in the runtime")] : [])],
    [...rows.slice(0, top), ...others, sum("all", rows)].map(({ op, traced, optimised, runtime = 0 }) => [
      op,
      ...[traced, optimised, runtime].map(String),
    ]),
  );
}

function sum(op: string, rows: readonly OperationRow[]): OperationRow {
  const of = (key: "traced" | "optimised" | "runtime") => rows.reduce((total, row) => total + (row[key] ?? 0), 0);
  return { op, traced: of("traced"), optimised: of("optimised"), runtime: of("runtime") };
}

function profileLines({ operators, nodes }: ProfileReport, top: number): string[] {
  return [
    ...tableLines(
      [{ title: "time by operator" }, number("ms"), number("share"), number("calls")],
      operators.slice(0, top).map((time) => [time.op, ...timeCells(time)]),
    ),
    "",
    ...tableLines(
      [{ title: "time by shape" }, number("ms"), number("share"), number("calls"), number("GFLOP/s"), shapes],
      nodes.slice(0, top).map((node) => {
        const speed = node.gigaflops === undefined ? "" : node.gigaflops.toFixed(1);
        return [node.op, ...timeCells(node), speed, shapeText(node)];
      }),
    ),
  ];
}

const shapes: Column = { title: "shapes", maxWidth: 100 };

function number(title: string): Column {
  return { title, align: "right" };
}

function timeCells({ milliseconds, share, calls }: Pick<NodeTime, "milliseconds" | "share" | "calls">): string[] {
  return [milliseconds.toFixed(1), `${(100 * share).toFixed(1)} %`, String(Math.round(calls))];
}

function shapeText({ inputs, output }: NodeTime): string {
  const text = (shape: readonly number[]): string => (shape.length === 0 ? "1" : shape.join("×"));
  return `${inputs.map(text).join(", ")} → ${text(output)}`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function giga(flops: number): string {
  return (flops / 1e9).toPrecision(3);
}

function partsText(microBatches: number): string {
  return microBatches === 1 ? "" : ` in ${microBatches} parts`;
}
