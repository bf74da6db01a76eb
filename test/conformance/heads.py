"""What methods put on an encoder."""

from torch.nn import functional

from resnet import batch_norm
from vit import layer_norm, linear


def simclr_projection(x, tensors):
    return linear(linear(x, tensors, "head.fc1").relu(), tensors, "head.fc2")


def head_norm(x, tensors, name, kind):
    return batch_norm(x, tensors, name) if kind == "batch" else layer_norm(x, tensors, name)


def byol_mlp(x, tensors, name, kind):
    hidden = head_norm(linear(x, tensors, f"{name}.fc1"), tensors, f"{name}.norm", kind)
    return linear(hidden.relu(), tensors, f"{name}.fc2")


def sit_projection(x, tensors, kind):
    x = head_norm(linear(x, tensors, "contrastive.fc1"), tensors, "contrastive.norm1", kind).relu()
    x = functional.gelu(head_norm(linear(x, tensors, "contrastive.fc2"), tensors, "contrastive.norm2", kind))
    x = linear(x, tensors, "contrastive.fc3")
    if kind == "batch":
        return functional.batch_norm(x, None, None, training=True, eps=1e-5)
    return functional.layer_norm(x, x.shape[-1:], eps=1e-6)


def prototype_logits(x, tensors, name):
    """DINO's head: three layers, a point on the sphere, weight-normalised prototypes w = g v / ‖v‖, g one where absent."""
    x = functional.gelu(linear(x, tensors, f"{name}.mlp.0"))
    x = functional.gelu(linear(x, tensors, f"{name}.mlp.2"))
    x = functional.normalize(linear(x, tensors, f"{name}.mlp.4"), dim=-1)
    direction = tensors[f"{name}.last_layer.weight_v"]
    prototypes = direction / direction.norm(dim=1, keepdim=True)
    length = tensors.get(f"{name}.last_layer.weight_g")
    return functional.linear(x, prototypes if length is None else length * prototypes)


def restored_pixels(tokens, tensors):
    """GMML's head: patch tokens [images, patches, width] → images [images, 3, size, size]."""
    for name in ("fc1", "fc2", "fc3"):
        tokens = functional.gelu(linear(tokens, tensors, f"reconstruction.{name}"))
    images, patches, width = tokens.shape
    grid = round(patches**0.5)
    weight = tensors["reconstruction.deconv.weight"]
    image = tokens.transpose(1, 2).reshape(images, width, grid, grid)
    return functional.conv_transpose2d(image, weight, tensors["reconstruction.deconv.bias"], stride=weight.shape[-1])
