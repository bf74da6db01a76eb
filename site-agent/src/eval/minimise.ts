/** Value at a point; writes the gradient into its second argument. */
export type Objective = (point: Float64Array, gradient: Float64Array) => number;

export interface MinimiseOptions {
  readonly maxIterations: number;
  /** Stops when no component of the gradient is larger. */
  readonly gradientTolerance: number;
}

export interface Minimum {
  readonly point: Float64Array;
  readonly value: number;
  readonly iterations: number;
  readonly converged: boolean;
}

interface Correction {
  readonly step: Float64Array;
  readonly change: Float64Array;
  readonly rho: number;
}

const memory = 10;
const sufficientDecrease = 1e-4;
const shortestStep = 1e-10;

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += a[index]! * b[index]!;
  return sum;
}

function addScaled(target: Float64Array, scale: number, source: Float64Array): void {
  for (let index = 0; index < target.length; index++) target[index]! += scale * source[index]!;
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Two-loop recursion of Nocedal and Wright, algorithm 7.4: minus the approximate Newton step. */
function direction(gradient: Float64Array, corrections: readonly Correction[]): Float64Array {
  const result = gradient.slice();
  const alphas: number[] = [];
  for (const { step, change, rho } of corrections.toReversed()) {
    const alpha = rho * dot(step, result);
    alphas.unshift(alpha);
    addScaled(result, -alpha, change);
  }
  const last = corrections.at(-1);
  const scale =
    last === undefined
      ? 1 / Math.max(1, Math.sqrt(dot(gradient, gradient)))
      : 1 / (last.rho * dot(last.change, last.change));
  for (let index = 0; index < result.length; index++) result[index]! *= scale;
  for (const [index, { step, change, rho }] of corrections.entries()) {
    addScaled(result, alphas[index]! - rho * dot(change, result), step);
  }
  return result.map((value) => -value);
}

interface State {
  readonly point: Float64Array;
  readonly gradient: Float64Array;
  readonly value: number;
}

/** Halves the step until the value falls enough; undefined when no step does. */
function searchLine(objective: Objective, from: State, along: Float64Array): State | undefined {
  const slope = dot(from.gradient, along);
  if (!(slope < 0)) return undefined;
  for (let length = 1; length > shortestStep; length /= 2) {
    const point = from.point.slice();
    addScaled(point, length, along);
    const gradient = new Float64Array(point.length);
    const value = objective(point, gradient);
    if (value <= from.value + sufficientDecrease * length * slope) return { point, gradient, value };
  }
  return undefined;
}

function correctionBetween(from: State, to: State): Correction | undefined {
  const step = to.point.map((value, index) => value - from.point[index]!);
  const change = to.gradient.map((value, index) => value - from.gradient[index]!);
  const curvature = dot(step, change);
  // Without positive curvature the approximation would lose its definiteness.
  return curvature > 1e-12 ? { step, change, rho: 1 / curvature } : undefined;
}

/** Limited-memory BFGS with a backtracking line search, for smooth functions. */
export function minimise(objective: Objective, start: Float64Array, options: MinimiseOptions): Minimum {
  const gradient = new Float64Array(start.length);
  let state: State = { point: start, gradient, value: objective(start, gradient) };
  const corrections: Correction[] = [];
  for (let iteration = 0; iteration < options.maxIterations; iteration++) {
    const done = largest(state.gradient) <= options.gradientTolerance;
    const next = done ? undefined : searchLine(objective, state, direction(state.gradient, corrections));
    if (next === undefined) return { point: state.point, value: state.value, iterations: iteration, converged: done };
    const correction = correctionBetween(state, next);
    if (correction !== undefined) corrections.push(correction);
    if (corrections.length > memory) corrections.shift();
    state = next;
  }
  const { point, value } = state;
  return { point, value, iterations: options.maxIterations, converged: false };
}
