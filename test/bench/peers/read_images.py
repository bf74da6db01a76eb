"""Images read as Python programs read them, for `npm run bench -- data`.

Usage: python read_images.py '{"kind":"derm"|"cxr-dicom"|"slide","files":["…"],"crop":224}'

derm: Pillow decodes, then a random resized crop (bicubic) and a flip. cxr-dicom: pydicom with the codec that it finds,
then the values of interest. slide: openslide-python, tiles of 256 pixels of level 0 one after the other.
Each ends with an array of bytes. One thread.

Speaks lines of JSON: {"ready": true, "library": …}; answers a line "N" with {"stepMs": […]}, the mean of N more images in
processor milliseconds, and an empty line with {"peakRssMiB": …}.
"""

import json
import math
import os
import random
import resource
import sys
import time


def derm(shape):
    import numpy
    import PIL
    from PIL import Image

    side = shape["crop"]

    def read(index):
        image = Image.open(shape["files"][index % len(shape["files"])]).convert("RGB")
        width, height = image.size
        area = width * height * random.uniform(0.2, 1.0)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w = min(width, round(math.sqrt(area * ratio)))
        h = min(height, round(math.sqrt(area / ratio)))
        x, y = random.randint(0, width - w), random.randint(0, height - h)
        crop = image.resize((side, side), Image.Resampling.BICUBIC, (x, y, x + w, y + h))
        if random.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return numpy.asarray(crop)

    return read, f"Pillow {PIL.__version__}"


def cxr_dicom(shape):
    import numpy
    import pydicom
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    def read(index):
        dataset = pydicom.dcmread(shape["files"][index % len(shape["files"])])
        values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(numpy.float32)
        low, high = values.min(), values.max()
        return ((values - low) * (255 / max(1e-6, high - low))).astype(numpy.uint8)

    return read, f"pydicom {pydicom.__version__}"


def slide(shape):
    import numpy
    import openslide

    opened = openslide.OpenSlide(shape["files"][0])
    across, down = opened.dimensions[0] // 256, opened.dimensions[1] // 256

    def read(index):
        place = index % (across * down)
        region = opened.read_region((place % across * 256, place // across * 256), 0, (256, 256))
        return numpy.asarray(region.convert("RGB"))

    return read, f"openslide-python {openslide.__version__}"


def main():
    shape = json.loads(sys.argv[1])
    read, library = {"derm": derm, "cxr-dicom": cxr_dicom, "slide": slide}[shape["kind"]](shape)
    print(json.dumps({"ready": True, "library": library}), flush=True)
    taken = 0
    for line in sys.stdin:
        if line.strip() == "":
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps({"peakRssMiB": peak}), flush=True)
            continue
        count = int(line)
        began = time.process_time()
        for _ in range(count):
            read(taken)
            taken += 1
        print(json.dumps({"stepMs": [(time.process_time() - began) * 1000 / count]}), flush=True)


os.environ["OMP_NUM_THREADS"] = "1"
main()
