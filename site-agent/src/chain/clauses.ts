/** Why a site does not train on a model. The last three are lines of its policy. */
export const ModelClause = {
  /** What led to the model is not one unbroken history, or not the one that this site knows. */
  chain: "model.chain",
  /** A round was not summed on the terms of the run. */
  terms: "model.terms",
  /** A round's sum is not one of honest sites. */
  aggregate: "model.aggregate",
  /** The model is not what follows from the one before it. */
  recomputed: "model.recomputed",
  initial: "model.initialDigests",
  updateNorm: "model.maxUpdateL2",
  tensorChange: "model.maxTensorChange",
} as const;

export const modelClauses: readonly string[] = Object.values(ModelClause);
