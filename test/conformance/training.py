"""What follows a loss in a step: clipping, the optimiser, the teacher's moving average."""

import torch
from torch.nn.utils import clip_grad_norm_

HEADS = ("dino_head.", "ibot_head.")
LAST_LAYER = (".last_layer.weight_v", ".last_layer.weight_g")


class Lars(torch.optim.Optimizer):
    """You, Gitman and Ginsburg 2017, with the rate outside the momentum as in BYOL; vectors are neither adapted nor decayed."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                direction = weight.grad
                if weight.ndim > 1:
                    decay = group["weight_decay"]
                    resistance = weight.grad.norm() + decay * weight.norm()
                    adapts = weight.norm() > 0 and resistance > 0
                    trust = group["trust"] * weight.norm() / resistance if adapts else 1
                    direction = trust * (direction + decay * weight)
                momentum = self.state[weight].get("momentum", torch.zeros_like(weight))
                self.state[weight]["momentum"] = group["momentum"] * momentum + direction
                weight -= group["lr"] * self.state[weight]["momentum"]


class Training:
    def __init__(self, student, config, rates):
        self.student, self.config, self.rates = student, config, rates
        options = config["optimizer"]
        # A group for each tensor: its rate and whether it decays are its own.
        groups = [{"params": [tensor], "lr": 0.0, "weight_decay": 0.0, "name": name} for name, tensor in student.items()]
        if options["name"] == "adamw":
            betas = (options["beta1"], options["beta2"])
            self.optimizer = torch.optim.AdamW(groups, betas=betas, eps=1e-8)
        elif options["name"] == "sgd":
            self.optimizer = torch.optim.SGD(groups, momentum=options["momentum"])
        else:
            defaults = {"momentum": options["momentum"], "trust": options["trustCoefficient"]}
            self.optimizer = Lars(groups, defaults)

    def clip(self):
        """DINO clips each tensor by itself, DINOv2 the backbone and each head."""
        options = self.config["optimizer"]
        limit, mode = options.get("gradientClip"), options["clipping"]
        if limit is None:
            return
        if mode == "tensor":
            groups = {name: [tensor] for name, tensor in self.student.items()}
        else:
            groups = {}
            for name, tensor in self.student.items():
                part = next((head for head in HEADS if name.startswith(head)), "backbone")
                groups.setdefault(part if mode == "sub-network" else "all", []).append(tensor)
        for tensors in groups.values():
            clip_grad_norm_([tensor for tensor in tensors if tensor.grad is not None], limit)

    def update(self, scalars):
        """One step from the gradients that the tensors hold. `scalars`: the rates and schedules of this step."""
        self.clip()
        free = scalars.get("lastLayerFree", 1) != 0
        for group in self.optimizer.param_groups:
            name, tensor = group["name"], group["params"][0]
            group["lr"] = scalars["learningRate"] * self.rates.get(name, 1)
            group["weight_decay"] = scalars["weightDecay"] if tensor.ndim > 1 else 0
            if not free and name.endswith(LAST_LAYER):
                # DINO and iBOT drop the gradient, DINOv2 has a rate of zero.
                if self.config["method"]["name"] == "dinov2":
                    group["lr"] = 0
                else:
                    tensor.grad = None
        self.optimizer.step()


@torch.no_grad()
def follow(teacher, student, momentum):
    """The teacher's next values: m t + (1 − m) s."""
    return {name: momentum * tensor + (1 - momentum) * student[name] for name, tensor in teacher.items()}
