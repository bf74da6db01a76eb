"""Writes reference-volumes.json: what nibabel and numpy say of volumes, for the tests beside this folder.

    python reference_volumes.py /path/to/shared/data/volumes > reference-volumes.json

NIfTI is read by nibabel. NRRD, which nibabel does not read, is unpacked here by its format's formulas with numpy.
"""

import gzip
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np


def probes(data):
    """Values at places spread over what is not zero, the sum and the extremes."""
    filled = np.random.default_rng(7).choice(np.flatnonzero(data), 12)
    places = [[int(i) for i in np.unravel_index(at, data.shape)] for at in filled]
    return {
        "shape": list(data.shape),
        "values": [[place, float(data[tuple(place)])] for place in places],
        "sum": float(data.sum(dtype=np.float64)),
        "min": float(data.min()),
        "max": float(data.max()),
        "percentiles": [float(p) for p in np.percentile(data, [1, 99])],
    }


def described(image):
    canonical = nib.as_closest_canonical(image)
    data = image.get_fdata(dtype=np.float32)
    data = data if data.ndim == 3 else data[..., 0]
    turned = canonical.get_fdata(dtype=np.float32)
    turned = turned if turned.ndim == 3 else turned[..., 0]
    return {
        "affine": image.affine[:3].tolist(),
        "stored": probes(data),
        "canonicalAffine": canonical.affine[:3].tolist(),
        "canonical": probes(turned),
    }


def read_nrrd(path):
    raw = path.read_bytes()
    header, body = raw.split(b"\n\n", 1)
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines()[1:] if ": " in line)
    sizes = [int(size) for size in fields["sizes"].split()]
    kind = {"short": "<i2", "int": "<i4"}[fields["type"]]
    data = np.frombuffer(gzip.decompress(body), kind).reshape(sizes, order="F")
    vector = lambda text: [float(part) for part in text.strip("()").split(",")]
    affine = np.eye(4)
    affine[:3, :3] = np.array([vector(text) for text in fields["space directions"].split()]).T
    affine[:3, 3] = vector(fields["space origin"])
    # left-posterior-superior → right-anterior-superior
    return nib.Nifti1Image(data.astype(np.int32), np.diag([-1, -1, 1, 1]) @ affine)


def transforms():
    """Small arrays 0, 1, 2 … under rotated, mirrored and sheared axes, and where nibabel puts them."""
    rng = np.random.default_rng(11)
    shape = (2, 3, 4)
    for _ in range(40):
        quaternion = rng.normal(size=4)
        quaternion /= np.linalg.norm(quaternion)
        quaternion *= np.sign(quaternion[0])
        spacing = rng.uniform(0.4, 5, 3)
        header = nib.Nifti1Header()
        header.set_data_dtype(np.uint8)
        header.set_data_shape(shape)
        header["pixdim"][:4] = [rng.choice([-1, 1]), *spacing]
        header["quatern_b"], header["quatern_c"], header["quatern_d"] = quaternion[1:]
        offset = rng.uniform(-200, 200, 3)
        header["qoffset_x"], header["qoffset_y"], header["qoffset_z"] = offset
        header["qform_code"] = 1
        array = np.arange(24, dtype=np.uint8).reshape(shape, order="F")
        image = nib.Nifti1Image(array, header.get_qform())
        canonical = nib.as_closest_canonical(image)
        yield {
            "shape": shape,
            "pixdim": [float(p) for p in header["pixdim"][:4]],
            "quaternion": [float(header[f"quatern_{part}"]) for part in "bcd"],
            "offset": [float(header[f"qoffset_{axis}"]) for axis in "xyz"],
            "affine": header.get_qform()[:3].tolist(),
            "canonicalShape": list(canonical.shape),
            "canonicalAffine": canonical.affine[:3].tolist(),
            "canonicalOrder": np.asarray(canonical.dataobj).flatten(order="F").tolist(),
        }


def main(folder):
    files = {f"nifti/{path.name}": described(nib.load(path)) for path in sorted((folder / "nifti").iterdir())}
    files |= {f"nrrd/{path.name}": described(read_nrrd(path)) for path in sorted((folder / "nrrd").iterdir())}
    made = f"nibabel {nib.__version__}, numpy {np.__version__}"
    json.dump({"made": made, "files": files, "transforms": list(transforms())}, sys.stdout)


main(Path(sys.argv[1]))
