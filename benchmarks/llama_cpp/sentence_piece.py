"""A tokenizer of Llama 2's and Mistral's kind: pieces with ▁ for spaces, and bytes for what has no piece."""
from collections import Counter

SPECIAL = ["<unk>", "<s>", "</s>"]


def tokenizer(text, size):
    """As a tokenizer.json, with pieces learned from a text: the most frequent pair becomes a piece, again and again."""
    words = Counter("▁" + word for word in text.split())
    split = {word: list(word) for word in words}
    learned = []
    letters = sorted({letter for word in words for letter in word})
    while len(SPECIAL) + 256 + len(letters) + len(learned) < size:
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(split[word], split[word][1:]):
                pairs[pair] += count
        left, right = max(sorted(pairs), key=pairs.get)
        learned.append(left + right)
        split = {word: joined(pieces, left, right) for word, pieces in split.items()}
    names = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *learned]
    known = set(names)
    # All pairs that make a piece, as transformers writes them for such tokenizers, which join whatever is a piece.
    merges = [[piece[:cut], piece[cut:]] for piece in learned for cut in range(1, len(piece)) if piece[:cut] in known and piece[cut:] in known]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": id, "content": name, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False} for id, name in enumerate(SPECIAL)],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": {name: id for id, name in enumerate(names)}, "merges": merges},
    }


def joined(pieces, left, right):
    result = []
    for piece in pieces:
        if result and result[-1] == left and piece == right:
            result[-1] = left + right
        else:
            result.append(piece)
    return result
