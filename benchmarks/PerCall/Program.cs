// What one call costs through the binding, in nanoseconds of processor time (collector included): the same cases, in the same order, as per_call.py.
using System.Globalization;
using static TorchSharp.torch;

const int Repeats = 7;
var calls = args is [var text] ? int.Parse(text, CultureInfo.InvariantCulture) : 200_000;

set_num_threads(1);
using var a = randn(4, 4);
using var b = randn(4, 4);
using var m = randn(16, 16);
using var n = randn(16, 16);
using var x = randn(4, 8);
using var w = randn([8, 8], requires_grad: true);
using var bias = zeros([8], requires_grad: true);

Measure("empty", 1, () => empty(4, 4).Dispose());
Measure("add", 1, () => a.add(b).Dispose());
Measure("add scalar", 1, () => a.add(1.5).Dispose());
Measure("add in place", 1, () => a.add_(b));
Measure("matmul 16x16", 1, () => m.matmul(n).Dispose());
Measure("view", 1, () => a.view(2, 8).Dispose());
Measure("transpose", 1, () => a.transpose(0, 1).Dispose());
Measure("shape", 1, () => _ = a.shape);
Measure("add in a scope of ten", 10, () =>
{
    using var scope = NewDisposeScope();
    for (var i = 0; i < 10; i++) a.add(b);
});
Measure("linear forward", 1, () =>
{
    using var scope = no_grad();
    nn.functional.linear(x, w, bias).Dispose();
});
Measure("linear forward and backward", 10, () =>
{
    using var scope = NewDisposeScope();
    nn.functional.linear(x, w, bias).sum().backward();
    w.grad = null;
    bias.grad = null;
});

// The median of several rounds; a case that is long is run fewer times and counted per run.
void Measure(string name, int weight, Action body)
{
    var count = calls / weight;
    var divisor = name.StartsWith("add in a scope", StringComparison.Ordinal) ? 10 : 1;
    for (var i = 0; i < count / 4; i++) body();
    var nanoseconds = new double[Repeats];
    for (var repeat = 0; repeat < Repeats; repeat++)
    {
        var start = Environment.CpuUsage.TotalTime;
        for (var i = 0; i < count; i++) body();
        nanoseconds[repeat] = (Environment.CpuUsage.TotalTime - start).TotalNanoseconds / count / divisor;
    }

    Array.Sort(nanoseconds);
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}\t{nanoseconds[Repeats / 2]:F1}"));
}
