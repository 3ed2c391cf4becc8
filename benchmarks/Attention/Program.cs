// One kernel on one pattern at one length: milliseconds of processor time of a forward and backward pass on one thread, the best of
// several, and the peak of memory above the inputs, in MiB. A process of its own for each, so that no case inherits the memory of another.
//     <case> <length> <repeats>      case: flash, reference, linear, or a pattern for block-sparse: sliding-256, strided-128, …
using System.Globalization;
using TorchSharp;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

const int Heads = 8, Width = 64;

if (args is not [var name, var lengthText, var repeatsText])
{
    Console.Error.WriteLine("usage: <case> <length> <repeats>");
    return 2;
}

int length = Number(lengthText), repeats = Number(repeatsText);
set_num_threads(1);
(IAttentionKernel kernel, PatternOptions pattern) = Case(name);
using MaskStore masks = new();
using DisposeScope scope = NewDisposeScope();
manual_seed(1);
// As the projection makes them: heads of a token side by side.
Tensor Leaf() => randn(1, length, Heads, Width, requires_grad: true);
Tensor[] leaves = [Leaf(), Leaf(), Leaf()];
AttentionPattern built = pattern.Build();
PositionSpan span = new(0, length);
Tensor gradient = ones(1, Heads, length, Width);

long before = Resident("VmRSS");
File.WriteAllText("/proc/self/clear_refs", "5"); // the peak begins again here
Step();
double best = double.MaxValue;
for (int repeat = 0; repeat < repeats; repeat++)
{
    TimeSpan start = Environment.CpuUsage.TotalTime;
    Step();
    best = Math.Min(best, (Environment.CpuUsage.TotalTime - start).TotalMilliseconds);
}
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}\t{length}\t{best:F1}\t{(Resident("VmHWM") - before) / 1024.0:F0}"));
return 0;

void Step()
{
    using DisposeScope step = NewDisposeScope();
    AttentionCall call = new(
        leaves[0].transpose(1, 2), leaves[1].transpose(1, 2), leaves[2].transpose(1, 2), built, span, span, 1 / Math.Sqrt(Width), masks);
    if (kernel.WhyUnsupported(call) is { } refusal) throw new NotSupportedException(refusal);
    autograd.grad([kernel.Attend(call)], leaves, [gradient]);
}

static (IAttentionKernel Kernel, PatternOptions Pattern) Case(string name) => name.Split('-') switch
{
    ["flash"] => (new FlashKernel(), new CausalOptions()),
    ["reference"] => (new ReferenceKernel(), new CausalOptions()),
    ["linear"] => (new LinearKernel(), new CausalOptions()),
    ["sliding", var window] => (new BlockSparseKernel(), new SlidingOptions { Window = Number(window) }),
    ["strided", var stride] => (new BlockSparseKernel(), new StridedOptions { Stride = Number(stride) }),
    ["fixed", var stride, var summary] =>
        (new BlockSparseKernel(), new FixedOptions { Stride = Number(stride), Summary = Number(summary) }),
    ["bigbird"] => (new BlockSparseKernel(), new BigBirdOptions { Causal = true }),
    _ => throw new ArgumentException($"no case '{name}'"),
};

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

// KiB, as the kernel counts pages.
static long Resident(string field) => File.ReadLines("/proc/self/status")
    .Where(line => line.StartsWith(field, StringComparison.Ordinal))
    .Select(line => long.Parse(line[(field.Length + 1)..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture))
    .Single();
