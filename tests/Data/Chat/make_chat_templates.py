"""Writes what the published chat templates make of random conversations, for KnownTemplatesTests.

    python3 tests/Data/Chat/make_chat_templates.py

It needs jinja2 (3.1) alone; the environment is that of transformers (utils/chat_template_utils.py). The templates are those beside it, as
models of Hugging Face have them. Of most texts only the SHA-256 is kept, with and without what begins an answer.
"""
import hashlib
import json
import pathlib
import random

import jinja2
import jinja2.ext
import jinja2.sandbox

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"
COUNT, WHOLE = 200, 6

# Our name: the published template and its model's special tokens.
TEMPLATES = {
    "chatml": ("chatml", None, "<|im_end|>"),
    "llama3": ("llama-3", "<|begin_of_text|>", "<|eot_id|>"),
    "mistral": ("mistral", "<s>", "</s>"),
    "gemma": ("gemma-2", "<bos>", "<eos>"),
    "zephyr": ("zephyr", "<s>", "</s>"),
}
PIECES = [
    "Hello", "what is 2 + 2?", "Grüße", "😀", "日本語", "{{ messages }}", "{% if x %}", "{# c #}", "\n", "\n\n", " ", "\t", "a\u00a0b",
    "<|im_start|>", "<|im_end|>", "</s>", "<s>", "[INST]", "[/INST]", "<|eot_id|>", "<end_of_turn>", "<|user|>", "'", '"', "\\n", "e\u0301",
    "}}", "{", "1.", "- x", "`code`", "ß", "مرحبا",
]


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.globals["raise_exception"] = raise_exception
    return env


def text(draw):
    return "".join(draw.choice(PIECES) for _ in range(draw.randint(1, 5)))


def conversation(draw):
    turns = [("system", text(draw))] if draw.random() < 0.3 else []
    for _ in range(draw.randint(1, 3)):
        turns += [("user", text(draw)), ("assistant", text(draw))]
    return turns


def rendered(template, bos, eos, turns, prompts):
    messages = [{"role": role, "content": content} for role, content in turns]
    try:
        return template.render(messages=messages, add_generation_prompt=prompts, bos_token=bos, eos_token=eos)
    except jinja2.exceptions.TemplateError:
        return None


def main():
    draw = random.Random(7)
    conversations = [conversation(draw) for _ in range(COUNT)]
    expected = {}
    for name, (file, bos, eos) in TEMPLATES.items():
        template = environment().from_string((FIXTURES / f"{file}.jinja").read_text())
        rows = []
        for number, turns in enumerate(conversations):
            whole, prompt = rendered(template, bos, eos, turns, False), rendered(template, bos, eos, turns[:-1], True)
            if whole is None:
                rows.append(None)
            elif number < WHOLE:
                rows.append({"text": whole, "prompt": prompt})
            else:
                rows.append(hashlib.sha256(f"{whole}\0{prompt}".encode()).hexdigest()[:16])
        expected[name] = {"bos": bos, "eos": eos, "file": file, "rows": rows}
    content = {"conversations": [[list(turn) for turn in turns] for turns in conversations], "templates": expected}
    (FIXTURES / "known_templates.json").write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
