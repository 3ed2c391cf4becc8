using System.Globalization;
using System.Text.RegularExpressions;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>How large one file of weights may be, as transformers writes it: <c>5GB</c>, <c>500MB</c>, powers of ten.</summary>
/// <param name="Bytes">Bytes of tensors; 1 or more.</param>
public sealed partial record ShardSize(long Bytes)
{
    private static readonly string[] Units = ["KB", "MB", "GB", "TB"];

    /// <summary>What transformers takes where nothing is said: 5 GB.</summary>
    public static ShardSize Default { get; } = new(5_000_000_000);

    /// <summary>Reads a size.</summary>
    /// <param name="text">A number and one of KB, MB, GB, TB, such as <c>5GB</c> or <c>1.5GB</c>.</param>
    /// <param name="size">The size.</param>
    /// <returns>Whether it is one.</returns>
    public static bool TryParse(string text, out ShardSize size)
    {
        size = Default;
        if (Pattern().Match(text) is not { Success: true } match) return false;
        int unit = Array.IndexOf(Units, match.Groups["unit"].Value.ToUpperInvariant());
        double bytes = double.Parse(match.Groups["number"].Value, CultureInfo.InvariantCulture) * Math.Pow(1000, unit + 1);
        if (bytes is < 1 or > 1e18) return false;
        size = new((long)bytes);
        return true;
    }

    [GeneratedRegex(@"^(?<number>[0-9]+(\.[0-9]+)?)\s*(?<unit>[KMGT]B)$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
