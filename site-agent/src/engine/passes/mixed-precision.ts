import { sizeOf } from "@consilium/shared/params/layout.js";
import { GraphBuilder } from "../graph/builder.js";
import { cast, elementwise, scalarLike } from "../graph/emit.js";
import { floatAttribute, type Graph, type Operation, type Value } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { isFloat, isRounded, type PrecisionPlan, planPrecision } from "./mixed-precision-plan.js";
import { policyOf } from "./mixed-precision-policy.js";

/**
 * The same graph in mixed precision (Micikevicius et al. 2018): products and the activations between them in float16,
 * everything else in float32, as the policy table says. Inputs and outputs keep their types, so that weights and moments
 * stay float32; a weight is rounded once per step, whoever reads it. For graphs that other passes have finished with.
 * Small gradients vanish in float16 unless the program scales its loss.
 */
export function mixedPrecision(graph: Graph): Graph {
  return new Mixing(graph, new Set()).run();
}

/** Rewrites one graph. A value is made in the type that the plan says and cast at most once, where somebody asks. */
class Mixing {
  readonly #builder = new GraphBuilder();
  readonly #plan: PrecisionPlan;
  readonly #inputs = new Map<Value, Value>();
  /** New values by old ones: float32 and every other type in the one, float16 in the other. */
  readonly #full = new Map<Value, Value>();
  readonly #half = new Map<Value, Value>();

  /** @param rounded inputs that come as float16 */
  constructor(
    private readonly graph: Graph,
    private readonly rounded: ReadonlySet<Value>,
  ) {
    this.#plan = planPrecision(graph);
  }

  run(): Graph {
    for (const operation of operationsInOrder(this.graph)) this.#move(operation);
    return {
      name: this.graph.name,
      inputs: this.graph.inputs.map(({ name, value }) => ({ name, value: this.#inputs.get(value)! })),
      outputs: this.graph.outputs.map(({ name, value }) => ({ name, value: this.#asFull(value) })),
    };
  }

  #move(operation: Operation): void {
    const [first] = operation.outputs;
    if (operation.op === "Input") this.#moveInput(first!);
    else if (operation.body !== undefined) this.#moveLoop(operation, operation.body);
    else if (this.#plan.sums.has(operation)) this.#addProduct(operation);
    else if (this.#plan.computes.has(operation)) this.#compute(operation);
    else {
      const copies = this.#builder.copy(
        operation,
        operation.inputs.map((input) => this.#asFull(input)),
      );
      for (const [index, old] of operation.outputs.entries()) this.#full.set(old, copies[index]!);
      if (this.#plan.stores.has(operation)) {
        this.#half.set(first!, cast(this.#builder, copies[0]!, "float16"));
        this.#full.delete(first!);
      }
    }
  }

  #moveInput(old: Value): void {
    const rounded = this.rounded.has(old);
    const value = this.#builder.input(old.shape, rounded ? "float16" : old.type);
    this.#inputs.set(old, value);
    (rounded ? this.#half : this.#full).set(old, value);
  }

  #compute(operation: Operation): void {
    const made = this.#builder.operation({
      ...operation,
      inputs: operation.inputs.map((input) => this.#operand(input)),
      outputs: operation.outputs.map((old) => (isRounded(old) ? asHalf(old) : old)),
    });
    for (const [index, old] of operation.outputs.entries()) {
      const value = made.outputs[index]!;
      (value.type === "float16" ? this.#half : this.#full).set(old, value);
    }
  }

  /** A × B + C with A × B in float16 and the sum in float32. */
  #addProduct(operation: Operation): void {
    const [sum] = operation.outputs;
    const [a, b, added] = operation.inputs.map((input, index) =>
      index < 2 ? this.#asHalf(input) : this.#asFull(input),
    );
    const product = this.#builder.apply({ ...operation, ...asHalf(sum!), inputs: [a!, b!] });
    const beta = floatAttribute(operation, "beta", 1);
    const scaled =
      beta === 1 ? added! : elementwise(this.#builder, "Mul", [added!, scalarLike(this.#builder, beta, added!)]);
    this.#full.set(sum!, elementwise(this.#builder, "Add", [scaled, cast(this.#builder, product, "float32")]));
  }

  #operand(old: Value): Value {
    return isFloat(old) ? this.#asHalf(old) : this.#asFull(old);
  }

  #asFull(old: Value): Value {
    const known = this.#full.get(old);
    if (known !== undefined) return known;
    const widened = cast(this.#builder, this.#half.get(old)!, "float32");
    this.#full.set(old, widened);
    return widened;
  }

  #asHalf(old: Value): Value {
    const known = this.#half.get(old);
    if (known !== undefined) return known;
    const rounded = this.#round(old);
    this.#half.set(old, rounded);
    return rounded;
  }

  #round(old: Value): Value {
    const { operation } = old;
    if (operation.constant !== undefined) return this.#builder.constant(operation.constant, old.shape, "float16");
    const [source] = operation.inputs;
    if (source !== undefined && operation.op === "Cast") return cast(this.#builder, this.#asFull(source), "float16");
    if (movesOneTensor(operation)) {
      return this.#builder.apply({
        ...operation,
        ...asHalf(old),
        inputs: operation.inputs.map((input) => this.#operand(input)),
      });
    }
    return cast(this.#builder, this.#asFull(old), "float16");
  }

  /** What a loop's body reads from outside as float16 only is rounded outside, not in every round. */
  #moveLoop(operation: Operation, body: Graph): void {
    const first = new Mixing(body, new Set()).run();
    const narrow = onlyRounded(first);
    const captured = body.inputs.filter(
      (_, at) => at > operation.outputs.length && narrow.has(first.inputs[at]!.value),
    );
    const rounded = new Set(captured.map(({ value }) => value));
    const loop = this.#builder.operation({
      ...operation,
      inputs: operation.inputs.map((input, index) =>
        rounded.has(body.inputs[1 + index]!.value) ? this.#asHalf(input) : this.#asFull(input),
      ),
      body: rounded.size === 0 ? first : new Mixing(body, rounded).run(),
    });
    for (const [index, old] of operation.outputs.entries()) this.#full.set(old, loop.outputs[index]!);
  }
}

function asHalf({ shape }: Value): { readonly shape: Value["shape"]; readonly type: "float16" } {
  return { shape, type: "float16" };
}

/** Such as a weight's transpose: rounding before it lets all readers of the weight share one cast. */
function movesOneTensor(operation: Operation): boolean {
  const floats = operation.inputs.filter(isFloat);
  const [result] = operation.outputs;
  return (
    policyOf(operation) === "moves" &&
    floats.length === 1 &&
    operation.outputs.length === 1 &&
    sizeOf(floats[0]!.shape) <= sizeOf(result!.shape)
  );
}

/** Inputs that a graph does nothing with but round them to float16. */
function onlyRounded(graph: Graph): ReadonlySet<Value> {
  const rounded = new Set<Value>();
  const others = new Set(graph.outputs.map(({ value }) => value));
  for (const { op, inputs, outputs } of operationsInOrder(graph)) {
    const narrows = op === "Cast" && outputs[0]!.type === "float16";
    for (const input of inputs) (narrows ? rounded : others).add(input);
  }
  const inputs = graph.inputs.map(({ value }) => value);
  return new Set(inputs.filter((value) => isFloat(value) && rounded.has(value) && !others.has(value)));
}
