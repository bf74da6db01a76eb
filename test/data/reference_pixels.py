"""Writes reference-pixels.json: what Pillow makes of every image that is no DICOM object and no slide.

    python reference_pixels.py /path/to/shared/data > reference-pixels.json

Upright by EXIF; colour profiles applied by LittleCMS, perceptual. For each folder: the number of images, the SHA-256 of all their pixels (8-bit red, green and blue, images in the order of
their names), and some pixels of some images, spread by the formula (i × 7919) mod pixels.
"""

import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageOps, features

FOLDERS = [
    "derm/ham10000/images",
    "derm/isic_uda1_fullres/images",
    "cxr/kermany224/images",
    "cxr/kermany224/masks",
    "cxr/kermany_fullres/images",
    "cxr/kermany_fullres/masks",
    "slides/pcam96/images",
    "slides/bccd/images",
    "slides/tiles",
]
ENDINGS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
SAMPLES, PROBES = 6, 128


def pixels(path):
    image = ImageOps.exif_transpose(Image.open(path))
    profile = image.info.get("icc_profile")
    if profile is not None:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return np.asarray(image.convert("RGB"))


def probes(array):
    flat = array.reshape(-1, 3)
    return flat[(np.arange(PROBES) * 7919) % len(flat)].tobytes().hex()


def described(folder):
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    digest = hashlib.sha256()
    samples = {}
    step = max(1, len(paths) // SAMPLES)
    for index, path in enumerate(paths):
        array = pixels(path)
        digest.update(array.tobytes())
        if index % step == 0 and len(samples) < SAMPLES:
            samples[path.name] = {"width": array.shape[1], "height": array.shape[0], "probes": probes(array)}
    return {"images": len(paths), "sha256": digest.hexdigest(), "samples": samples}


def main(root):
    folders = {name: described(root / name) for name in FOLDERS}
    made = f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"
    json.dump({"made": made, "folders": folders}, sys.stdout)


main(Path(sys.argv[1]))
