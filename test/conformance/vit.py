"""Vision transformer (Dosovitskiy et al. 2021) with the tensors of timm's checkpoints: {name: tensor} and images to tokens."""

import torch
from torch.nn import functional

SIZES = {"vit-nano": (96, 4, 3), "vit-tiny": (192, 12, 3), "vit-small": (384, 12, 6)}
NORM_EPSILON = 1e-6


def linear(x, tensors, name):
    return functional.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def layer_norm(x, tensors, name):
    return functional.layer_norm(x, x.shape[-1:], tensors[f"{name}.weight"], tensors[f"{name}.bias"], NORM_EPSILON)


def attention(x, tensors, name, heads):
    images, tokens, width = x.shape
    parts = linear(x, tensors, f"{name}.qkv").reshape(images, tokens, 3, heads, width // heads)
    query, key, value = parts.permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-2, -1) * (width // heads) ** -0.5).softmax(-1)
    return linear((weights @ value).transpose(1, 2).reshape(images, tokens, width), tensors, f"{name}.proj")


def mlp(x, tensors, name):
    return linear(functional.gelu(linear(x, tensors, f"{name}.fc1")), tensors, f"{name}.fc2")


def block(x, tensors, name, heads, branch_scales=None):
    """`branch_scales` [images, 2]: 0, or one over the probability of staying (stochastic depth, Huang et al. 2016)."""

    def branch(y, part, index):
        gamma = tensors.get(f"{name}.{part}.gamma")
        y = y if gamma is None else gamma * y
        return y if branch_scales is None else y * branch_scales[:, index, None, None]

    x = x + branch(attention(layer_norm(x, tensors, f"{name}.norm1"), tensors, f"{name}.attn", heads), "ls1", 0)
    return x + branch(mlp(layer_norm(x, tensors, f"{name}.norm2"), tensors, f"{name}.mlp"), "ls2", 1)


def sin_cos_positions(grid, width):
    """MAE's fixed positions: column, then row; of each the sines, then the cosines. The class token's are zero."""
    omega = 1.0 / 10000 ** (torch.arange(width // 4) / (width / 4))

    def axis(places):
        angles = places.reshape(-1, 1) * omega
        return torch.cat([angles.sin(), angles.cos()], 1)

    rows, columns = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    patches = torch.cat([axis(columns.double()), axis(rows.double())], 1)
    return torch.cat([torch.zeros(1, width), patches])[None]


def resized_positions(positions, grid, smooth):
    """For another grid. DINO and DINOv2 pass a factor with a tenth of a patch added; DINOv2 with registers the size."""
    first, patches = positions[:, :1], positions[:, 1:]
    old = round(patches.shape[1] ** 0.5)
    if old == grid:
        return positions
    image = patches.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    if smooth:
        resized = functional.interpolate(image, size=(grid, grid), mode="bicubic", antialias=True)
    else:
        factor = (grid + 0.1) / old
        resized = functional.interpolate(image, scale_factor=(factor, factor), mode="bicubic")
    assert resized.shape[-2:] == (grid, grid)
    return torch.cat([first, resized.permute(0, 2, 3, 1).reshape(1, grid * grid, -1)], 1)


class Vit:
    def __init__(self, model):
        self.width, self.depth, self.heads = SIZES[model["architecture"]]
        self.patch = model["patchSize"]
        self.grid = model["imageSize"] // self.patch
        self.registers = model.get("registers", 0)

    def block_outputs(self, tensors, images, hidden=None, seen=None, branch_scales=None):
        """
        Tokens after each block. Images [images, channels, size, size]; `hidden` [images, patches], true where the mask
        token stands; `seen` [images, count], places of the only patches that go in; `branch_scales` [images, 2 × depth].
        """
        weight, bias = tensors["patch_embed.proj.weight"], tensors["patch_embed.proj.bias"]
        patches = functional.conv2d(images, weight, bias, stride=self.patch).flatten(2).transpose(1, 2)
        if hidden is not None:
            patches = torch.where(hidden[..., None], tensors["mask_token"], patches)
        positions = tensors.get("pos_embed")
        if positions is None:
            positions = sin_cos_positions(self.grid, self.width)
        positions = resized_positions(positions, images.shape[-1] // self.patch, self.registers > 0)
        patches = patches + positions[:, 1:]
        if seen is not None:
            patches = patches.gather(1, seen[..., None].expand(-1, -1, self.width))
        front = [(tensors["cls_token"] + positions[:, :1]).expand(len(images), -1, -1)]
        if self.registers > 0:
            front.append(tensors["register_tokens"].expand(len(images), -1, -1))
        x = torch.cat([*front, patches], 1)
        outputs = []
        for index in range(self.depth):
            scales = None if branch_scales is None else branch_scales[:, 2 * index : 2 * index + 2]
            x = block(x, tensors, f"blocks.{index}", self.heads, scales)
            outputs.append(x)
        return outputs

    def tokens(self, tensors, images, **options):
        """After the final norm: [images, 1 + registers + patches, width]."""
        return layer_norm(self.block_outputs(tensors, images, **options)[-1], tensors, "norm")

    def patch_tokens(self, tokens):
        return tokens[:, 1 + self.registers :]
