"""Writes the token ids that transformers' apply_chat_template gives conversations, for KnownTemplatesTests.

    python3 tests/Data/Chat/make_chat_ids.py

It needs transformers (made with 5.12.1) and tokenizers. The tokenizer is a byte-level BPE trained here on the conversations. What is said
holds no names of special tokens, which transformers reads as such and this project as text; that transformers writes the texts of
known_templates.json, which hold them, is checked as well. Of most ids only the SHA-256 is kept, with and without what begins an answer.
"""
import hashlib
import json
import pathlib
import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import make_chat_templates as known

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"
COUNT, WHOLE = 200, 2
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<s>", "</s>",
           "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]
PIECES = [piece for piece in known.PIECES if piece not in SPECIAL]


def texts(draw):
    return "".join(draw.choice(PIECES) for _ in range(draw.randint(1, 5)))


def conversation(draw):
    turns = [("system", texts(draw))] if draw.random() < 0.3 else []
    for _ in range(draw.randint(1, 3)):
        turns += [("user", texts(draw)), ("assistant", texts(draw))]
    return turns


def trained(conversations):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator([content for turns in conversations for _, content in turns], trainer)
    return tokenizer


def applied(tokenizer, turns, prompts, tokenize):
    messages = [{"role": role, "content": content} for role, content in turns]
    try:
        return tokenizer.apply_chat_template(messages, add_generation_prompt=prompts, tokenize=tokenize, return_dict=False)
    except known.jinja2.exceptions.TemplateError:
        return None


def check_texts(tokenizer, name, fixture):
    for turns, row in zip(fixture["conversations"], fixture["templates"][name]["rows"]):
        whole, prompt = applied(tokenizer, turns, False, False), applied(tokenizer, turns[:-1], True, False)
        if whole is None:
            assert row is None
        elif isinstance(row, dict):
            assert row == {"text": whole, "prompt": prompt}, name
        else:
            assert row == hashlib.sha256(f"{whole}\0{prompt}".encode()).hexdigest()[:16], name


def main():
    draw = random.Random(11)
    conversations = [conversation(draw) for _ in range(COUNT)]
    base = trained(conversations)
    base.save(str(FIXTURES / "chat_tokenizer.json"), pretty=False)
    texts_by_jinja = json.loads((FIXTURES / "known_templates.json").read_text())
    expected = {}
    for name, (file, bos, eos) in known.TEMPLATES.items():
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=base, bos_token=bos, eos_token=eos,
                                            chat_template=(FIXTURES / f"{file}.jinja").read_text())
        check_texts(tokenizer, name, texts_by_jinja)
        rows = []
        for number, turns in enumerate(conversations):
            whole, prompt = applied(tokenizer, turns, False, True), applied(tokenizer, turns[:-1], True, True)
            if whole is None:
                rows.append(None)
            elif number < WHOLE:
                rows.append({"ids": whole, "prompt": prompt})
            else:
                text = f"{','.join(map(str, whole))};{','.join(map(str, prompt))}"
                rows.append(hashlib.sha256(text.encode()).hexdigest()[:16])
        expected[name] = rows
    content = {"conversations": [[list(turn) for turn in turns] for turns in conversations], "templates": expected}
    (FIXTURES / "chat_ids.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
