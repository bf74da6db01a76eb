import { tf } from "../model/tf.js";

/**
 * Runs synchronous TensorFlow.js code on another backend, disposes the tensors that it made, and puts the former backend
 * back, also after an error.
 * Nothing may await inside: the active backend is global.
 */
export function withBackend<T>(name: string, run: () => T): T {
  // The getter picks the best backend when none was ever used.
  tf.backend();
  const previous = tf.getBackend();
  activate(name);
  tf.engine().startScope();
  try {
    return run();
  } finally {
    tf.engine().endScope();
    activate(previous);
  }
}

/** `setBackend` returns a promise, but has taken effect when it returns, for backends that start synchronously. */
function activate(name: string): void {
  if (tf.getBackend() !== name) void tf.setBackend(name);
}
