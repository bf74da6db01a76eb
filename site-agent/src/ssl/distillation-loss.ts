import { type Scalar, type Tensor, type Tensor2D, type Tensor3D, tf } from "../model/tf.js";

/** The teacher's distribution over prototypes: softmax((t − centre) / τ), [rows, K]. No gradient is meant to pass. */
export function centredProbabilities(logits: Tensor, centre: Tensor, temperature: Scalar | number): Tensor2D {
  return tf.softmax(tf.div(tf.sub(logits, centre), temperature));
}

export interface CrossViews {
  /** Probabilities of each global view: [batch, K]. */
  readonly teacher: readonly Tensor2D[];
  /** Logits of the student's global views, in the same order, then of its small ones: [batch, K]. */
  readonly student: readonly Tensor2D[];
  readonly studentTemperature: number;
}

/**
 * DINO (Caron et al. 2021): cross entropy of every view of the student with every other global view of the teacher,
 * averaged over images and over pairs. Views that have the same targets share one product.
 */
export function crossViewLoss({ teacher, student, studentTemperature }: CrossViews): Scalar {
  const logProbabilities = student.map((logits) => tf.logSoftmax(tf.div(logits, studentTemperature)));
  const all = sumOf(teacher);
  const globals = teacher.map((own, index) => {
    const others = teacher.length === 2 ? teacher[1 - index]! : tf.sub(all, own);
    return tf.sum(tf.mul(others, logProbabilities[index]!));
  });
  const locals = logProbabilities.slice(teacher.length);
  const fromLocals = locals.length === 0 ? [] : [tf.sum(tf.mul(all, sumOf(locals as Tensor2D[])))];
  const pairs = teacher.length * student.length - teacher.length;
  const batch = teacher[0]?.shape[0] ?? 1;
  return tf.mul(tf.addN([...globals, ...fromLocals]), -1 / (pairs * batch));
}

function sumOf(tensors: readonly Tensor2D[]): Tensor2D {
  return tensors.length === 1 ? tensors[0]! : tf.addN([...tensors]);
}

export interface HiddenPatches {
  /** Probabilities of the teacher, which saw the patches: [rows, K]. */
  readonly teacher: Tensor2D;
  /** Logits of the student, which did not: [rows, K]. */
  readonly student: Tensor2D;
  readonly studentTemperature: number;
  /** [rows]: one over the number of hidden patches of the crop; zero for a row that fills up. */
  readonly weights: Tensor;
  /** Crops that the mean is over, those without hidden patches among them. */
  readonly crops: number;
}

/** iBOT (Zhou et al. 2022): cross entropy of hidden patches, averaged over those of a crop, then over all crops. */
export function hiddenPatchLoss({ teacher, student, studentTemperature, weights, crops }: HiddenPatches): Scalar {
  const logProbabilities = tf.logSoftmax(tf.div(student, studentTemperature));
  const perPatch = tf.sum(tf.mul(teacher, logProbabilities), 1);
  return tf.mul(tf.sum(tf.mul(perPatch, weights)), -1 / crops);
}

/** Rows of one view after the other [views × batch, width] → one tensor [batch, width] for each. */
export function splitViews(rows: Tensor2D, views: number): Tensor2D[] {
  return views === 1 ? [rows] : (tf.split(rows, views, 0) as Tensor2D[]);
}

/** [batch, views, …] → [views × batch, …]: as the views of a batch go through a model one after the other. */
export function viewMajor(x: Tensor): Tensor {
  const [batch = 0, views = 0, ...rest] = x.shape;
  const order = [1, 0, ...rest.map((_, axis) => axis + 2)];
  return tf.reshape(tf.transpose(x as Tensor3D, order), [views * batch, ...rest]);
}
