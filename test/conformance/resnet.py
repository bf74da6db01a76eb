"""ResNet-18 (He et al. 2016) with the tensors of torchvision's checkpoints, and a U-Net on it (Ronneberger et al. 2015)."""

import torch
from torch.nn import functional


def batch_norm(x, tensors, name, statistics=None):
    """Normalises by the batch; `statistics`, where there are any, follow it in place."""
    mean = None if statistics is None else statistics[f"{name}.running_mean"]
    variance = None if statistics is None else statistics[f"{name}.running_var"]
    return functional.batch_norm(
        x, mean, variance, tensors[f"{name}.weight"], tensors[f"{name}.bias"], training=True, momentum=0.1, eps=1e-5
    )


def basic_block(x, tensors, name, stride, statistics):
    def unit(y, index, by):
        y = functional.conv2d(y, tensors[f"{name}.conv{index}.weight"], stride=by, padding=1)
        return batch_norm(y, tensors, f"{name}.bn{index}", statistics)

    shortcut = x
    if f"{name}.downsample.0.weight" in tensors:
        shortcut = functional.conv2d(x, tensors[f"{name}.downsample.0.weight"], stride=stride)
        shortcut = batch_norm(shortcut, tensors, f"{name}.downsample.1", statistics)
    return (unit(unit(x, 1, stride).relu(), 2, 1) + shortcut).relu()


def resnet18(tensors, images, statistics=None):
    """Images [images, channels, size, size] → features [images, 512] and the maps after the stem and each stage."""
    x = functional.conv2d(images, tensors["conv1.weight"], stride=2, padding=3)
    x = batch_norm(x, tensors, "bn1", statistics).relu()
    maps = [x]
    x = functional.max_pool2d(x, 3, stride=2, padding=1)
    for stage in range(1, 5):
        for index in range(2):
            stride = 2 if stage > 1 and index == 0 else 1
            x = basic_block(x, tensors, f"layer{stage}.{index}", stride, statistics)
        maps.append(x)
    return x.mean((2, 3)), maps


def unet(tensors, maps):
    """From the deepest map upwards: double, take in the encoder's map of that size, convolve twice. Two channels."""
    *skips, x = maps
    for index in range(5):
        name = f"decoder.blocks.{index}"
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        if skips:
            x = torch.cat([x, skips.pop()], 1)
        for part in ("conv1", "conv2"):
            x = functional.conv2d(x, tensors[f"{name}.{part}.0.weight"], padding=1)
            x = batch_norm(x, tensors, f"{name}.{part}.1").relu()
    return functional.conv2d(x, tensors["decoder.head.weight"], tensors["decoder.head.bias"], padding=1)
