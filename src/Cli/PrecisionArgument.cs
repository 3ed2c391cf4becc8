using System.CommandLine;
using Trainer.Training;

namespace Trainer.Cli;

/// <summary>The option <c>--precision</c>.</summary>
internal static class PrecisionArgument
{
    /// <param name="price">What bfloat16 costs, to stand behind "which".</param>
    internal static Option<Precision> Create(string price) => new("--precision")
    {
        Description = $"The number format of matrix products: Float32 or BFloat16, which is faster on some machines and {price}. Weights are rounded once.",
        DefaultValueFactory = _ => Precision.Float32,
    };
}
