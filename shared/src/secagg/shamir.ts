import type { Entropy } from "../entropy.js";
import { ConsiliumError } from "../errors.js";
import { secretBytes } from "./protocol.js";

/** Shamir 1979 over the prime field of order 2^256 − 189. BigInt arithmetic is not constant-time. */

export const fieldOrder = 2n ** 256n - 189n;

export interface Share {
  /** Where the polynomial was evaluated: the holder's 1-based position among the sorted advertisers. */
  readonly x: number;
  /** 32 bytes, big-endian. */
  readonly value: Uint8Array;
}

function modulo(value: bigint): bigint {
  const rest = value % fieldOrder;
  return rest < 0n ? rest + fieldOrder : rest;
}

function toBytes(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * secretBytes, "0"), "hex");
}

function toInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")}`);
}

export function isFieldElement(bytes: Uint8Array): boolean {
  return bytes.length === secretBytes && toInteger(bytes) < fieldOrder;
}

/** Uniform in the field, by rejection. */
export function randomFieldElement(entropy: Entropy): Buffer {
  for (;;) {
    const drawn = Buffer.from(entropy.bytes(secretBytes));
    if (isFieldElement(drawn)) return drawn;
    drawn.fill(0);
  }
}

/** Horner's rule; coefficients from the constant term up. */
function evaluate(coefficients: readonly bigint[], x: number): bigint {
  const at = BigInt(x);
  let value = 0n;
  for (let i = coefficients.length - 1; i >= 0; i--) value = (value * at + coefficients[i]!) % fieldOrder;
  return value;
}

/** Shares at x = 1 … count, of which any `threshold` determine the secret and fewer say nothing about it. */
export function splitSecret(
  secret: Uint8Array,
  { count, ...options }: { count: number; threshold: number; entropy: Entropy },
): Share[] {
  return splitSecretAt(secret, { ...options, xs: Array.from({ length: count }, (_, i) => i + 1) });
}

/** As splitSecret, at these places: distinct, from 1 on. */
export function splitSecretAt(
  secret: Uint8Array,
  { xs, threshold, entropy }: { xs: readonly number[]; threshold: number; entropy: Entropy },
): Share[] {
  if (!isFieldElement(secret) || threshold < 1 || threshold > xs.length) {
    throw new ConsiliumError(
      "internal",
      `cannot split a secret of ${secret.length} bytes ${threshold} of ${xs.length}`,
    );
  }
  const coefficients = [toInteger(secret)];
  while (coefficients.length < threshold) coefficients.push(toInteger(randomFieldElement(entropy)));
  return xs.map((x) => ({ x, value: toBytes(evaluate(coefficients, x)) }));
}

/** Euclid's algorithm. */
function inverse(value: bigint): bigint {
  let [oldRest, rest] = [modulo(value), fieldOrder];
  let [oldFactor, factor] = [1n, 0n];
  while (rest !== 0n) {
    const quotient = oldRest / rest;
    [oldRest, rest] = [rest, oldRest - quotient * rest];
    [oldFactor, factor] = [factor, oldFactor - quotient * factor];
  }
  return modulo(oldFactor);
}

/** Weights w with P(at) = Σ w_i·P(x_i) for every polynomial of degree below xs.length. The xs are distinct. */
export function lagrangeWeights(xs: readonly number[], at = 0): bigint[] {
  const target = BigInt(at);
  return xs.map((xi) => {
    let numerator = 1n;
    let denominator = 1n;
    for (const xj of xs) {
      if (xj === xi) continue;
      numerator = modulo(numerator * (target - BigInt(xj)));
      denominator = modulo(denominator * BigInt(xi - xj));
    }
    return modulo(numerator * inverse(denominator));
  });
}

/** Σ w_i·share_i with weights from `lagrangeWeights`, which may serve many secrets held by the same sites. */
export function combineShares(shares: readonly Share[], weights: readonly bigint[]): Buffer {
  let sum = 0n;
  shares.forEach(({ value }, i) => {
    sum += weights[i]! * toInteger(value);
  });
  return toBytes(modulo(sum));
}

/** The secret from exactly the shares given; wrong when they are fewer than the threshold or one was altered. */
export function reconstructSecret(shares: readonly Share[]): Buffer {
  return combineShares(shares, lagrangeWeights(shares.map((share) => share.x)));
}
