import { ConsiliumError } from "../../errors.js";

export function damagedPickle(reason: string): ConsiliumError {
  return new ConsiliumError("input-unreadable", `the PyTorch file is damaged: ${reason}`, {
    remedy: "fetch or save the file again",
  });
}

/** For what could run code, or only makes sense with code. */
export function refusedPickle(reason: string): ConsiliumError {
  return new ConsiliumError("input-unsupported", `the PyTorch file is refused: ${reason}; nothing of it was run`, {
    remedy: "save only the weights: torch.save(model.state_dict(), path), or write them as safetensors",
  });
}
