"""The views of `npm run bench -- augment` made with torchvision on Pillow images, or with Pillow alone.

Usage: python augment_torchvision.py '{"folder":"images","large":224,"small":96,"smallCrops":8,
  "largeScale":[0.4,1],"smallScale":[0.05,0.4]}'

Multi-crop of Caron et al. 2021 from JPEG files, on one thread: decode; then for each crop random resized crop (bicubic),
horizontal flip, colour jitter, grayscale, Pillow's Gaussian blur, solarisation of the second large crop; at last an array
of bytes. Neither tensors nor normalisation, which are not measured on the other side either.

Speaks lines of JSON: prints {"ready": true, "library": ...}, then answers each line "N" on standard input with
{"stepMs": [...]} after N more images: processor milliseconds of each. The answer to an empty line is
{"peakRssMiB": ...}.
"""

import json
import math
import os
import random
import resource
import sys
import time

import numpy
import PIL
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

try:
    import torch
    import torchvision
    from torchvision import transforms

    torch.set_num_threads(1)
    LIBRARY = f"torchvision {torchvision.__version__} on Pillow {PIL.__version__}"
except ImportError:
    transforms = None
    LIBRARY = f"Pillow {PIL.__version__}"


class Blur:
    """Pillow's blur with a radius drawn from [0.1, 2]."""

    def __init__(self, probability):
        self.probability = probability

    def __call__(self, image):
        if random.random() >= self.probability:
            return image
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


class Solarise:
    def __init__(self, probability):
        self.probability = probability

    def __call__(self, image):
        return ImageOps.solarize(image) if random.random() < self.probability else image


def with_torchvision(size, scale, blur, solarise):
    jitter = transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=scale, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.RandomHorizontalFlip(0.5),
            transforms.RandomApply([jitter], p=0.8),
            transforms.RandomGrayscale(0.2),
            Blur(blur),
            Solarise(solarise),
        ]
    )


def random_box(image, scale):
    for _ in range(10):
        area = image.width * image.height * random.uniform(*scale)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= image.width and 0 < height <= image.height:
            left, top = random.randint(0, image.width - width), random.randint(0, image.height - height)
            return left, top, left + width, top + height
    return 0, 0, image.width, image.height


def turn_hue(image, turns):
    hue, saturation, value = image.convert("HSV").split()
    shifted = (numpy.asarray(hue).astype(numpy.int16) + round(turns * 255)).astype(numpy.uint8)
    return Image.merge("HSV", (Image.fromarray(shifted), saturation, value)).convert("RGB")


def jittered(image):
    changes = [
        lambda it: ImageEnhance.Brightness(it).enhance(random.uniform(0.6, 1.4)),
        lambda it: ImageEnhance.Contrast(it).enhance(random.uniform(0.6, 1.4)),
        lambda it: ImageEnhance.Color(it).enhance(random.uniform(0.8, 1.2)),
        lambda it: turn_hue(it, random.uniform(-0.1, 0.1)),
    ]
    random.shuffle(changes)
    for change in changes:
        image = change(image)
    return image


def with_pillow(size, scale, blur, solarise):
    after = [Blur(blur), Solarise(solarise)]

    def crop(image):
        # Pillow resizes a part of an image without copying that part first.
        image = image.resize((size, size), Image.Resampling.BICUBIC, box=random_box(image, scale))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if random.random() < 0.8:
            image = jittered(image)
        if random.random() < 0.2:
            image = image.convert("L").convert("RGB")
        for change in after:
            image = change(image)
        return image

    return crop


def crops_of(shape):
    make = with_pillow if transforms is None else with_torchvision
    large, small = tuple(shape["largeScale"]), tuple(shape["smallScale"])
    return [
        make(shape["large"], large, 1.0, 0.0),
        make(shape["large"], large, 0.1, 0.2),
        *[make(shape["small"], small, 0.5, 0.0) for _ in range(shape["smallCrops"])],
    ]


def main():
    shape = json.loads(sys.argv[1])
    crops = crops_of(shape)
    names = sorted(name for name in os.listdir(shape["folder"]) if name.lower().endswith((".jpg", ".jpeg")))
    print(json.dumps({"ready": True, "library": LIBRARY}), flush=True)
    taken = 0
    for line in sys.stdin:
        if not line.strip():
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({"peakRssMiB": peak}), flush=True)
            continue
        step_ms = []
        for _ in range(int(line)):
            before = time.process_time()
            with Image.open(os.path.join(shape["folder"], names[taken % len(names)])) as file:
                image = file.convert("RGB")
            views = [numpy.asarray(crop(image)) for crop in crops]
            assert len(views) == len(crops)
            step_ms.append(1000 * (time.process_time() - before))
            taken += 1
        print(json.dumps({"stepMs": step_ms}), flush=True)


if __name__ == "__main__":
    main()
