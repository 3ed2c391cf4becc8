"""What one call costs from PyTorch's Python, in nanoseconds of processor time: the cases of PerCall, in its order."""
import sys
import time

import torch

REPEATS = 7
CALLS = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000

torch.set_num_threads(1)
a, b = torch.randn(4, 4), torch.randn(4, 4)
m, n = torch.randn(16, 16), torch.randn(16, 16)
x = torch.randn(4, 8)
w = torch.randn(8, 8, requires_grad=True)
bias = torch.zeros(8, requires_grad=True)
linear = torch.nn.functional.linear


def measure(name, weight, body, divisor=1):
    count = CALLS // weight
    body(count // 4)
    rounds = []
    for _ in range(REPEATS):
        start = time.process_time_ns()
        body(count)
        rounds.append((time.process_time_ns() - start) / count / divisor)
    print(f"{name}\t{sorted(rounds)[REPEATS // 2]:.1f}", flush=True)


def loop(call):
    """A loop with the call written out, as a training script has it: no function call around it."""
    scope = {}
    exec(f"def body(count):\n    for _ in range(count):\n        {call}\n", globals(), scope)
    return scope["body"]


measure("empty", 1, loop("torch.empty(4, 4)"))
measure("add", 1, loop("a + b"))
measure("add scalar", 1, loop("a + 1.5"))
measure("add in place", 1, loop("a.add_(b)"))
measure("matmul 16x16", 1, loop("m.matmul(n)"))
measure("view", 1, loop("a.view(2, 8)"))
measure("transpose", 1, loop("a.transpose(0, 1)"))
measure("shape", 1, loop("a.shape"))
measure("add in a scope of ten", 10, loop("[a + b for _ in range(10)]"), divisor=10)
measure("linear forward", 1, loop("\n        with torch.no_grad(): linear(x, w, bias)"))
measure("linear forward and backward", 10, loop("linear(x, w, bias).sum().backward(); w.grad = None; bias.grad = None"))
