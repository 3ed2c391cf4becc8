"""Reads and writes the two formats, by their specifications and with nothing but the standard library."""
import array
import json
import struct
from math import prod

ALIGNMENT = 32
F32, F16, Q8_0, BF16 = 0, 1, 8, 30


def read_safetensors(path):
    """Names to (shape, numbers): float32 tensors alone."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    assert all(entry["dtype"] == "F32" for entry in header.values()), path
    return {name: (entry["shape"], array.array("f", data[slice(*entry["data_offsets"])])) for name, entry in header.items()}


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, (shape, numbers) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + 4 * len(numbers)]}
        offset += 4 * len(numbers)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, numbers in tensors.values():
            numbers.tofile(file)


class Gguf:
    """A GGUF file: metadata, and tensors as name to (shape from the outermost extent, type, bytes)."""

    NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def __init__(self, path):
        with open(path, "rb") as file:
            self.file = file
            magic, version, tensors, entries = struct.unpack("<4sIQQ", file.read(24))
            assert magic == b"GGUF" and version == 3, path
            self.metadata = {self._text(): self._value(self._number("I")) for _ in range(entries)}
            infos = [(self._text(), [self._number("Q") for _ in range(self._number("I"))][::-1], self._number("I"), self._number("Q")) for _ in range(tensors)]
            start = -(-file.tell() // ALIGNMENT) * ALIGNMENT
            self.tensors = {}
            for name, shape, kind, offset in infos:
                file.seek(start + offset)
                self.tensors[name] = (shape, kind, file.read(self._length(prod(shape), kind)))

    def numbers(self, name):
        """The numbers of a float32 or Q8_0 tensor."""
        _, kind, data = self.tensors[name]
        if kind == F32:
            return array.array("f", data)
        assert kind == Q8_0, name
        numbers = array.array("f")
        for scale, *integers in struct.iter_unpack("<e32b", data):
            numbers.extend(scale * integer for integer in integers)
        return numbers

    @staticmethod
    def _length(count, kind):
        return {F32: 4 * count, F16: 2 * count, BF16: 2 * count, Q8_0: count // 32 * 34}[kind]

    def _number(self, kind):
        return struct.unpack(f"<{kind}", self.file.read(struct.calcsize(f"<{kind}")))[0]

    def _text(self):
        return self.file.read(self._number("Q")).decode()

    def _value(self, kind):
        if kind == 8:
            return self._text()
        if kind == 9:
            kind, count = self._number("I"), self._number("Q")
            return [self._value(kind) for _ in range(count)]
        return self._number(self.NUMBERS[kind])


# Hugging Face's names of Llama's matrices, and GGUF's.
LLAMA = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def as_hugging_face(gguf, tensors, heads, groups):
    """Llama's matrices of a GGUF file in the place of those of a Hugging Face checkpoint."""
    result = {}
    for name, (shape, numbers) in tensors.items():
        theirs = {"model.embed_tokens.weight": "token_embd.weight", "lm_head.weight": "output.weight", "model.norm.weight": "output_norm.weight"}.get(name)
        if theirs is None and name.split(".", 3)[3].removesuffix(".weight") in LLAMA:
            theirs = f"blk.{name.split('.')[2]}.{LLAMA[name.split('.', 3)[3].removesuffix('.weight')]}.weight"
        if theirs is not None:
            numbers = gguf.numbers(theirs)
            if "q_proj" in name or "k_proj" in name:
                numbers = halves(numbers, shape, heads if "q_proj" in name else groups)
        result[name] = (shape, numbers)
    return result


def halves(numbers, shape, heads):
    """Rows of each head from neighbouring pairs to halves."""
    rows, columns = shape
    width = rows // heads
    result = array.array("f")
    for head in range(heads):
        for row in range(width):
            start = (head * width + 2 * (row % (width // 2)) + row // (width // 2)) * columns
            result.extend(numbers[start:start + columns])
    return result
