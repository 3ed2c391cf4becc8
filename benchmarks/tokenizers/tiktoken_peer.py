"""Answers as Program.cs does, with tiktoken. The first line on standard input is JSON: ranks (base 64 to id), pattern, text."""
import base64, json, sys, time

import tiktoken

job = json.loads(sys.stdin.readline())
ranks = {base64.b64decode(token): rank for token, rank in job["ranks"].items()}
encoding = tiktoken.Encoding("peer", pat_str=job["pattern"], mergeable_ranks=ranks, special_tokens={})
text = job["text"]
for _ in sys.stdin:
    processor, wall = time.process_time(), time.perf_counter()
    ids = encoding.encode_ordinary(text)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    value = 0
    for i in ids:
        value = (value * 31 + i) & 0xFFFFFFFF
    print(len(ids), f"{wall:.6f} {processor:.6f}", value, flush=True)
