"""Three training steps of a method in PyTorch, in double precision, written from the papers' formulas.

Usage: python reference.py INPUT OUTPUT

INPUT holds parameter/NAME, carried/NAME (teacher.NAME, centres, running statistics) and batch/STEP/NAME, and under
"request" in its notes the run's configuration, the scalars of every step and the factors on learning rates.
OUTPUT gets loss/STEP, gradient/NAME of the first step before clipping, parameter/NAME and carried/NAME after the last
step, and determined/NAME: one where an element's way follows from the formulas. With Adam, which divides gradients by
their size, that is where a gradient was in no step so small that rounding decides its sign.
"""

import json
import sys

import tensor_file
import torch
from methods import METHODS, Step
from training import Training, follow

# An element's gradient beside the root mean square of its tensor's, and that beside all gradients'.
SMALL_ELEMENT, SMALL_TENSOR = 1e-3, 1e-6


def named(tensors, prefix):
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def root_mean_square(tensors):
    return (sum(tensor.square().sum() for tensor in tensors) / sum(tensor.numel() for tensor in tensors)).sqrt()


class Reference:
    def __init__(self, tensors, request):
        self.config = request["config"]
        self.student = {name: t.clone().requires_grad_() for name, t in named(tensors, "parameter/").items()}
        carried = named(tensors, "carried/")
        self.teacher = named(carried, "teacher.")
        self.carried = {name: t.clone() for name, t in carried.items() if not name.startswith("teacher.")}
        self.training = Training(self.student, self.config, request["rates"])
        self.determined = {name: torch.ones_like(t, dtype=torch.bool) for name, t in self.student.items()}

    def differentiate(self, batch, scalars):
        model, method = self.config["model"], self.config["method"]
        step = Step(model, method, self.student, self.teacher, self.carried, batch, scalars)
        loss, following = METHODS[method["name"]](step)
        for tensor in self.student.values():
            tensor.grad = None
        loss.backward()
        return loss.detach(), following

    def note_small_gradients(self):
        if self.config["optimizer"]["name"] != "adamw":
            return
        gradients = self.gradients()
        everywhere = root_mean_square(gradients.values())
        for name, gradient in gradients.items():
            least = torch.maximum(SMALL_ELEMENT * root_mean_square([gradient]), SMALL_TENSOR * everywhere)
            self.determined[name] &= gradient.abs() > least

    def gradients(self):
        return {name: t.grad.clone() for name, t in self.student.items() if t.grad is not None}

    def update(self, following, scalars):
        self.training.update(scalars)
        if self.teacher:
            self.teacher = follow(self.teacher, self.student, scalars["teacherMomentum"])
        self.carried.update(following)

    def state(self):
        carried = {**{f"teacher.{name}": t for name, t in self.teacher.items()}, **self.carried}
        return {
            **{f"parameter/{name}": tensor for name, tensor in self.student.items()},
            **{f"carried/{name}": tensor for name, tensor in carried.items()},
            **{f"determined/{name}": mask.double() for name, mask in self.determined.items()},
        }


def main(source, target):
    torch.set_default_dtype(torch.float64)
    tensors, notes = tensor_file.read(source)
    request = json.loads(notes["request"])
    reference, output = Reference(tensors, request), {}
    for index, scalars in enumerate(request["scalars"]):
        loss, following = reference.differentiate(named(tensors, f"batch/{index}/"), scalars)
        output[f"loss/{index}"] = loss.reshape(1)
        if index == 0:
            output.update({f"gradient/{name}": gradient for name, gradient in reference.gradients().items()})
        reference.note_small_gradients()
        reference.update(following, scalars)
    tensor_file.write(target, {**output, **reference.state()})


if __name__ == "__main__":
    main(*sys.argv[1:])
