"""Encoding speed beside tiktoken: the same byte-level tokenizer.json, the same text, one thread each, taking turns.

    python3 compare.py <tokenizer.json> <text> [--python "python3"] [--rounds 9] [--cold]

--python is the interpreter that has tiktoken (Debian 13: python3-tiktoken). --cold makes a new tokenizer for each
round, which remembers no words of the round before. The tokens of both must be equal. tiktoken takes a token's id
for its rank, so the file's merges must be in the order of their ids, as trainers write them.
"""
import argparse, base64, json, os, shlex, subprocess, sys

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
HERE = os.path.dirname(os.path.abspath(__file__))


def alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def pattern(part):
    if part["type"] == "Sequence":
        return next(found for found in map(pattern, part["pretokenizers"]) if found)
    return part["pattern"]["Regex"] if part["type"] == "Split" else GPT2 if part.get("use_regex", True) else None


def job(tokenizer, text):
    symbols = alphabet()
    ranks = {}
    for token, rank in tokenizer["model"]["vocab"].items():
        if all(symbol in symbols for symbol in token):
            ranks[base64.b64encode(bytes(symbols[symbol] for symbol in token)).decode()] = rank
    return json.dumps({"ranks": ranks, "pattern": pattern(tokenizer["pre_tokenizer"]), "text": text})


def ask(process):
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().split()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tokenizer")
    parser.add_argument("text")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    with open(options.text, encoding="utf-8", newline="") as file:
        text = file.read()
    with open(options.tokenizer, encoding="utf-8") as file:
        tokenizer = json.load(file)
    project = os.path.join(HERE, "Trainer.Benchmarks.Tokenizers.csproj")
    subprocess.run(["dotnet", "build", "-c", "Release", "-v", "q", project], check=True, stdout=subprocess.DEVNULL)
    program = os.path.join(HERE, "../../artifacts/bin/Trainer.Benchmarks.Tokenizers/release/Trainer.Benchmarks.Tokenizers.dll")
    with open(os.path.join(HERE, "tiktoken_peer.py"), encoding="utf-8") as file:
        peer_source = file.read()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    ours = subprocess.Popen(["dotnet", program, options.tokenizer, options.text, *(["cold"] if options.cold else [])], **pipes)
    peer = subprocess.Popen([*shlex.split(options.python), "-c", peer_source], **pipes)
    peer.stdin.write(job(tokenizer, text) + "\n")
    ask(ours), ask(peer)  # both once to warm up
    rounds = [(ask(ours), ask(peer)) for _ in range(options.rounds)]
    if any(mine[0] != theirs[0] or mine[3] != theirs[3] for mine, theirs in rounds):
        sys.exit(f"the tokens differ: {rounds[0]}")
    size = len(text.encode("utf-8")) / 1e6
    for name, column in (("wall clock", 1), ("processor", 2)):
        mine, theirs = (sorted(float(pair[side][column]) for pair in rounds)[len(rounds) // 2] for side in (0, 1))
        print(f"{name}: Trainer {size / mine:.1f} MB/s, tiktoken {size / theirs:.1f} MB/s, ratio {theirs / mine:.2f} (median of {len(rounds)}, {rounds[0][0][0]} tokens)")
    for process in (ours, peer):
        process.stdin.close()
        process.wait()


main()
