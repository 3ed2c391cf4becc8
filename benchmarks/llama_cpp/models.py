"""The models that are compared: one of each family that is written for llama.cpp, trained shortly, so that they say something."""

CONTEXT = 128
VOCABULARY = 1024

# What makes a family: everything else is alike.
FAMILIES = {
    "gpt2": {
        "bias": True, "tieEmbeddings": True, "attention": {"type": "multi-head", "heads": 4}, "position": {"type": "learned"},
        "feedForward": {"type": "gelu-tanh"}, "norm": {"type": "layer"},
    },
    "llama": {"attention": {"type": "grouped-query", "heads": 4, "keyValueHeads": 2}, "feedForward": {"type": "swiglu", "hiddenDim": 192}},
    "qwen2": {
        "tieEmbeddings": True, "attention": {"type": "grouped-query", "heads": 4, "keyValueHeads": 2, "bias": True},
        "position": {"type": "rotary", "theta": 1000000}, "feedForward": {"type": "swiglu", "hiddenDim": 192}, "norm": {"type": "rms", "epsilon": 1e-6},
    },
    "qwen3": {
        "attention": {"type": "grouped-query", "heads": 4, "keyValueHeads": 2, "headDim": 32, "queryKeyNorm": True},
        "position": {"type": "rotary", "theta": 1000000}, "feedForward": {"type": "swiglu", "hiddenDim": 192}, "norm": {"type": "rms", "epsilon": 1e-6},
    },
    "mixtral": {
        "attention": {"type": "grouped-query", "heads": 4, "keyValueHeads": 2},
        "feedForward": {"type": "experts", "experts": 4, "active": 2, "hiddenDim": 96},
    },
}

FAMILIES["llama, bytes"] = FAMILIES["llama"]

# The words that tokens are learned from: GPT-2's, Llama 3's, or Qwen's (Llama 3's, but for single digits); None where bytes are the tokens.
PATTERNS = {"gpt2": "gpt2", "llama": "cl100k", "qwen2": "qwen2", "qwen3": "qwen2", "mixtral": "cl100k", "llama, bytes": None}

# Texts that tokenizers cut differently where one expression is taken for another.
TRICKY = [
    "It's WE'LL they'RE don't I'm", "1 12 123 1234 12345,678.90", "  two  spaces\t\ttabs \n\n\n lines\r\n end  ", "x=f(a,b)->c[0]; // #!/?!",
    "naïve Ünïcödé Ελληνικά русский 漢字かな ١٢٣ Ⅷ ½", "👩‍👩‍👧 e\u0301 \u200b\u00a0nbsp", "\n", "    ", "snake_case CamelCase kebab-case", "</s><|endoftext|>[PAD0]",
]


def recipe(family, tokenizer, steps):
    """The recipe of a family's model."""
    model = {
        "architecture": "decoder", "dim": 64, "layers": 3, "contextLength": CONTEXT, "bias": False, "tieEmbeddings": False,
        "position": {"type": "rotary"}, "norm": {"type": "rms"},
    }
    return {
        "name": family.replace(", ", "-"), "model": model | FAMILIES[family], "tokenizer": tokenizer, "data": {"train": [{"format": "dotnet-docs"}]},
        "training": {"steps": steps, "batchSize": 8, "device": "cpu"}, "optimizer": {"type": "adamw", "learningRate": 4e-3},
        "schedule": {"type": "cosine", "warmupSteps": 20}, "evaluation": {"every": steps, "batches": 2}, "checkpoint": {"every": steps, "keep": 1},
    }
