"""Reads and writes float32 tensors: 8 bytes of little-endian header length, a JSON header, the values one after the other."""

import json
import math

import numpy
import torch


def read(path):
    """Returns ({name: float64 tensor}, {name: text})."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        values = file.read()
    notes = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"tensor {name} has type {entry['dtype']}")
        start, end = entry["data_offsets"]
        flat = numpy.frombuffer(values, "<f4", count=math.prod(entry["shape"]), offset=start)
        assert flat.nbytes == end - start, name
        tensors[name] = torch.from_numpy(flat.astype(numpy.float64)).reshape(entry["shape"])
    return tensors, notes


def write(path, tensors):
    header, blocks, offset = {}, [], 0
    for name, tensor in tensors.items():
        block = tensor.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(block)]}
        blocks.append(block)
        offset += len(block)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for block in blocks:
            file.write(block)
