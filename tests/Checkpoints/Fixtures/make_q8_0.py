#!/usr/bin/env python3
"""Writes q8_0/blocks.safetensors: numbers, and the blocks of Q8_0 that ggml makes of them, which gguf-py's own must equal.

Needs numpy, gguf-py and libggml-base (Debian: llama.cpp, python3-gguf); run it in this folder.
"""
import ctypes
import json
import struct

import gguf
import numpy as np

LENGTH, BYTES = 32, 34


def numbers():
    random = np.random.default_rng(5)
    drawn = [random.standard_normal((24, LENGTH)).astype(np.float32) * np.float32(scale) for scale in (0.02, 3, 1e-6, 1e5)]
    halves = (np.arange(8 * LENGTH).reshape(8, LENGTH) % 255 - 127).astype(np.float32) / 2  # what lies between two integers
    halves[:, 0] = 127
    empty = np.zeros((2, LENGTH), np.float32)
    empty[1, ::2] = -0.0
    smallest = random.standard_normal((4, LENGTH)).astype(np.float32) * np.float32(1e-41)  # 127 / the largest is infinite
    return np.concatenate([*drawn, halves, empty, smallest])


def ggml(rows):
    library = ctypes.CDLL("libggml-base.so.0")
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    blocks = np.zeros((len(rows), BYTES), np.uint8)
    written = library.ggml_quantize_chunk(int(gguf.GGMLQuantizationType.Q8_0), rows.ctypes.data, blocks.ctypes.data, 0, len(rows), LENGTH, None)
    assert written == blocks.nbytes
    return blocks


def main():
    rows = numbers()
    blocks = ggml(rows)
    with np.errstate(all="ignore"):
        assert np.array_equal(blocks, gguf.quants.quantize(rows, gguf.GGMLQuantizationType.Q8_0))
    header = json.dumps({
        "numbers": {"dtype": "F32", "shape": list(rows.shape), "data_offsets": [0, rows.nbytes]},
        "blocks": {"dtype": "U8", "shape": list(blocks.shape), "data_offsets": [rows.nbytes, rows.nbytes + blocks.nbytes]},
    }).encode()
    header += b" " * (-len(header) % 8)
    with open("q8_0/blocks.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + rows.tobytes() + blocks.tobytes())


if __name__ == "__main__":
    main()
