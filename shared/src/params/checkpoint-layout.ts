import { teacherIsEncoder } from "../config/method-config.js";
import { type CarriedConfig, carriedTensors, teacherPrefix } from "./carried.js";
import { type ParameterLayout, type PlacedParameter, placeParameters } from "./layout.js";
import { encoderTensorNames, parameterLayout } from "./parameters.js";

/**
 * The flat vector that is masked, summed and stored: the trained tensors, then what is averaged of the method's carried
 * state, such as teacher and centres. Its beginning is `parameterLayout`'s vector.
 * @throws ConsiliumError "config-invalid" when widths and heads do not fit
 */
export function checkpointLayout(config: CarriedConfig): ParameterLayout {
  const averaged = carriedTensors(config).filter(({ travel }) => travel === "averaged");
  return placeParameters([...parameterLayout(config).parameters, ...averaged]);
}

/** A tensor of the encoder by the name that models know it by, and where it lies in a checkpoint's vector. */
export type EncoderTensor = PlacedParameter;

/**
 * The encoder that a run is for: the teacher of DINO, iBOT and DINOv2 where checkpoints hold it, otherwise what was
 * trained; of a residual network with running statistics where these are averaged.
 */
export function encoderTensors(config: CarriedConfig): readonly EncoderTensor[] {
  const { parameters } = checkpointLayout(config);
  const ofTeacher = parameters
    .filter(({ name }) => name.startsWith(teacherPrefix))
    .map((tensor) => ({ ...tensor, name: tensor.name.slice(teacherPrefix.length) }));
  const ofStudent = parameters.filter(({ name }) => !name.startsWith(teacherPrefix));
  const source = teacherIsEncoder(config.method) && ofTeacher.length > 0 ? ofTeacher : ofStudent;
  const names = new Set(encoderTensorNames({ parameters: source }));
  return source.filter(({ name }) => names.has(name));
}
