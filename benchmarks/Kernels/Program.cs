// Every kernel against its composed form, forward and backward, at the shapes of three models.
//     dotnet run -c Release --project benchmarks/Kernels -- [filter] [--repeats 15]
// The filter is a part of a kernel's name, or of a size: 0.8 M, 10 M, 124 M. The two forms run in turn, each beginning every other time, so
// that what else the machine does meets both; a figure is the median of all times. BenchmarkDotNet runs one benchmark after the other, each
// in a process of its own, which cannot tell 1.05 from 0.95 on a machine that others use.
using System.Globalization;
using TorchSharp;
using Trainer.Kernels.Benchmarks;
using static TorchSharp.torch;

int repeats = 15;
string filter = "";
for (int i = 0; i < args.Length; i++)
{
    if (args[i] == "--repeats" && i + 1 < args.Length) repeats = int.Parse(args[++i], CultureInfo.InvariantCulture);
    else filter = args[i];
}

Console.WriteLine($"{get_num_threads()} threads");
Console.WriteLine("| kernel | size | forward ms | composed ms | ratio | backward ms | composed ms | ratio | both |");
Console.WriteLine("|---|---|---:|---:|---:|---:|---:|---:|---:|");
foreach (ModelSize size in ModelSize.All)
{
    foreach ((string name, Func<ModelSize, Pair> make) in TrainingCases.All.Concat(ProductCases.All).Concat(DecodingCases.All))
    {
        if (!$"{name} {size.Name}".Contains(filter, StringComparison.OrdinalIgnoreCase)) continue;
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        (Times kernel, Times composed) = PairedTimer.Measure(make(size), repeats);
        string backward = kernel.Backward is { } a && composed.Backward is { } b
            ? $"{Format(a)} | {Format(b)} | {Format(b / a)} | {Format((composed.Forward + b) / (kernel.Forward + a))}"
            : "– | – | – | –";
        string forward = $"{Format(kernel.Forward)} | {Format(composed.Forward)} | {Format(composed.Forward / kernel.Forward)}";
        Console.WriteLine($"| {name} | {size.Name} | {forward} | {backward} |");
    }
}

static string Format(double value) => value.ToString(value < 0.1 ? "0.0000" : value < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture);
