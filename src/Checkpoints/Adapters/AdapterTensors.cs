using Trainer.Models.Adapters;

namespace Trainer.Checkpoints.Adapters;

/// <summary>The tensors of an adapter's file.</summary>
internal static class AdapterTensors
{
    public const string A = "loraA", B = "loraB", Magnitude = "magnitude";

    /// <summary>Names and shapes of all updates.</summary>
    public static IEnumerable<(string Name, long[] Shape)> Of(IEnumerable<AdapterTarget> targets, LoraOptions options) =>
        from target in targets
        from entry in ((string, long[])[])
        [
            (A, [.. target.Leading, options.Rank, target.Place.Inputs]), (B, [.. target.Leading, target.Rows, options.Rank]),
            .. options.WeightDecomposed ? [(Magnitude, [.. target.Leading, target.Rows])] : ((string, long[])[])[],
        ]
        select (NameOf(target, entry.Item1), entry.Item2);

    /// <summary>Whether a tensor is one of an update, and not of a module that is trained in full.</summary>
    public static bool IsAdded(string name) => name.Contains(".adapter.", StringComparison.Ordinal);

    public static string NameOf(AdapterTarget target, string part) => $"{target.Update}.{part}";
}
