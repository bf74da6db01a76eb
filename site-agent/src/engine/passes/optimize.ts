import type { Graph } from "../graph/graph.js";
import { operationsInOrder } from "../graph/order.js";
import { mergeAliases } from "./aliases.js";
import { dropNeutral, foldUniforms, simplifyArithmetic } from "./constants.js";
import { reshapeBeforeExpansion, sinkExpansions } from "./expansions.js";
import { absorbTransposes, foldBias, lowerProducts, type ProductStyle } from "./products.js";
import { firstOf, rewrite, rewriteBodies } from "./rewrite.js";
import { shareEqual } from "./share.js";

const simplify = firstOf([
  mergeAliases,
  foldUniforms,
  dropNeutral,
  simplifyArithmetic,
  reshapeBeforeExpansion,
  sinkExpansions,
  absorbTransposes,
]);

/** One rule's result can be another rule's chance; real programs settle after three or four rounds. */
const maxRounds = 8;

export interface OptimizeOptions {
  readonly products: ProductStyle;
}

/** The graph that a device runs: the same function with fewer passes over memory. */
export function optimize(traced: Graph, options: OptimizeOptions): Graph {
  const { products } = options;
  let graph = shareEqual(rewrite(optimizeBodies(traced, options), simplify));
  for (let round = 1; round < maxRounds; round++) {
    const before = operationsInOrder(graph).length;
    graph = shareEqual(rewrite(graph, simplify));
    if (operationsInOrder(graph).length === before) break;
  }
  return rewrite(rewrite(graph, lowerProducts(products)), foldBias);
}

/** Loop bodies are graphs of their own. */
function optimizeBodies(graph: Graph, options: OptimizeOptions): Graph {
  return rewriteBodies(graph, (body) => optimize(body, options));
}
