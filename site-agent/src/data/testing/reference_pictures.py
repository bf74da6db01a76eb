"""Writes reference-pictures.json: what Pillow makes of the files that write-pictures.ts wrote.

    tsx write-pictures.ts FOLDER && python reference_pictures.py FOLDER > reference-pictures.json

Upright by EXIF, first page, colour profile applied (LittleCMS, perceptual), 16 bits cut to 8, transparency on
black: 8-bit red, green and blue, as hexadecimal digits.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageOps


def wide(path):
    """Samples of 16 bits, which Pillow keeps for grey only; colours come from the bytes of PNG and TIFF by hand."""
    name = path.name
    if name.startswith("grey-16"):
        grey = np.asarray(Image.open(path)).astype(np.uint16)
        return np.repeat((grey >> 8)[..., None], 3, axis=2)
    if name.startswith("rgb-16"):
        samples = (np.arange(16 * 24 * 3) * 57) % 65536
        return (samples >> 8).reshape(16, 24, 3)
    return None


def eight_bit(path):
    image = Image.open(path)
    image.seek(0)
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if profile and path.name.startswith(("cmyk", "display")):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, source, target, renderingIntent=0, outputMode="RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA")).astype(np.float64)
        return np.rint(rgba[..., :3] * rgba[..., 3:] / 255)
    return np.asarray(image.convert("RGB"))


def main(folder):
    pictures = {}
    for path in sorted(folder.iterdir()):
        found = wide(path)
        pixels = (eight_bit(path) if found is None else found).astype(np.uint8)
        pictures[path.name] = {
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "pixels": pixels.tobytes().hex(),
        }
    json.dump({"made": f"Pillow {PIL.__version__}", "pictures": pictures}, sys.stdout)


main(Path(sys.argv[1]))
