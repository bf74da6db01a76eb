import { ConsiliumError } from "@consilium/shared/errors.js";

/** TensorFlow.js stacks a dozen frames for one operation, more inside a gradient. */
const frames = 80;

/**
 * Runs what calls TensorFlow.js's operations.
 * @throws ConsiliumError "kernel-missing" with the kernel and the operations that asked for it, instead of
 *   TensorFlow.js's own error
 */
export function namingMissingKernel<T>(programName: string, run: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = frames;
  try {
    return run();
  } catch (cause) {
    const kernel = cause instanceof Error ? /[Kk]ernel '(\w+)'/.exec(cause.message)?.[1] : undefined;
    if (kernel === undefined || !(cause instanceof Error)) throw cause;
    const asked = askedForBy(cause.stack ?? "");
    throw new ConsiliumError(
      "kernel-missing",
      `program ${programName} needs kernel ${kernel}${asked}, which cannot be traced`,
      {
        remedy: "write the program with other operations, or add the kernel under site-agent/src/engine/trace/kernels",
        cause,
      },
    );
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** Operations are functions whose names end in "__op"; the innermost comes first. */
function askedForBy(stack: string): string {
  const gradientAt = stack.indexOf("backpropagateGradients");
  const own = gradientAt < 0 ? stack : stack.slice(0, gradientAt);
  const operations = [...own.matchAll(/at (?:Object\.)?(\w+?)__op\b/g)].map(([, name]) => `tf.${name}`);
  const where = gradientAt < 0 ? [] : ["a gradient"];
  const chain = [...operations, ...where].slice(0, 3);
  return chain.length === 0 ? "" : `, asked for by ${chain.join(" in ")}`;
}
