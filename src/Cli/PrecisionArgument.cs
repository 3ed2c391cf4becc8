using System.CommandLine;
using Trainer.Models.Devices;

namespace Trainer.Cli;

/// <summary>The option <c>--precision</c>.</summary>
internal static class PrecisionArgument
{
    /// <param name="price">What fewer bits cost, to stand behind "Fewer bits".</param>
    internal static Option<InferencePrecision> Create(string price) => new("--precision")
    {
        Description = $"How matrices are held and multiplied: Float32; BFloat16, which is faster on some machines; or, on the CPU, Int8: blocks of 8 bits, a quarter of the memory, and fastest a token at a time for models larger than the caches. Fewer bits {price}.",
        DefaultValueFactory = _ => InferencePrecision.Float32,
    };
}
