import type { Graph } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { mergeAliases } from "./aliases.js";
import { dropNeutral, foldUniforms, simplifyArithmetic } from "./constants.js";
import { reshapeBeforeExpansion, sinkExpansions } from "./expansions.js";
import { fuseStandardisation } from "./layer-norms.js";
import { pushLayouts } from "./layout.js";
import { mixedPrecision } from "./mixed-precision.js";
import { absorbTransposes, foldBias, lowerProducts, type ProductStyle } from "./products.js";
import { firstOf, type Rule, rewrite, rewriteBodies } from "./rewrite.js";
import { absorbScales, accumulateInside, foldResultScale, scaleBeforeBias, sinkScales } from "./scales.js";
import { shareEqual } from "./share.js";

function simplify(products: ProductStyle): Rule {
  return firstOf([
    mergeAliases,
    foldUniforms,
    dropNeutral,
    simplifyArithmetic,
    reshapeBeforeExpansion,
    sinkExpansions,
    sinkScales,
    scaleBeforeBias,
    absorbTransposes,
    absorbScales(products),
  ]);
}

/** Rules that see the operators that the device runs, each in a round of its own because it looks for what the last one made. */
function lower({ products }: OptimizeOptions): readonly Rule[] {
  const fused = products === "fused" ? [fuseStandardisation()] : [];
  // ONNX Runtime's processor kernel spreads a bias over the result on one thread: adding it afterwards takes less time.
  const bias = products === "fused" ? [] : [foldBias];
  return [...fused, lowerProducts(products), ...bias, foldResultScale, accumulateInside];
}

/** One rule's result can be another rule's chance; real programs settle after three or four rounds. */
const maxRounds = 8;

export interface OptimizeOptions {
  readonly products: ProductStyle;
  /** "mixed": products and activations in float16; absent: float32. */
  readonly precision?: "float32" | "mixed";
}

/** The graph that a device runs: the same function with fewer passes over memory. */
export function optimize(traced: Graph, options: OptimizeOptions): Graph {
  const rule = simplify(options.products);
  const settled = settle(optimizeBodies(traced, options), rule);
  const pushed = pushLayouts(settled);
  const graph = pushed === settled ? settled : settle(pushed, rule);
  const lowered = lower(options).reduce(rewrite, graph);
  return options.precision === "mixed" ? mixedPrecision(lowered) : lowered;
}

function settle(traced: Graph, rule: Rule): Graph {
  let graph = shareEqual(rewrite(traced, rule));
  for (let round = 1; round < maxRounds; round++) {
    const before = operationsInOrder(graph).length;
    graph = shareEqual(rewrite(graph, rule));
    if (operationsInOrder(graph).length === before) break;
  }
  return graph;
}

/** Loop bodies are graphs of their own. */
function optimizeBodies(graph: Graph, options: OptimizeOptions): Graph {
  // Precision is decided with the graph around it.
  return rewriteBodies(graph, (body) => optimize(body, { ...options, precision: "float32" }));
}
