namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>A setting that a model and a family do not share.</summary>
/// <param name="Path">Which, below <c>model</c>.</param>
/// <param name="Ours">The model's value, as JSON.</param>
/// <param name="Theirs">The family's.</param>
internal sealed record SettingDifference(string Path, string Ours, string Theirs)
{
    private const string Kind = ".type";

    /// <summary>The layers where it is so, from 0 on; null for all.</summary>
    public string? Layers { get; init; }

    /// <summary>Those that say something: where kinds differ, their settings do, too.</summary>
    public static IEnumerable<SettingDifference> Telling(IReadOnlyList<SettingDifference> differences)
    {
        string[] kinds = [.. differences.Where(difference => difference.Path.EndsWith(Kind, StringComparison.Ordinal)).Select(difference => difference.Path[..^(Kind.Length - 1)])];
        return differences.Where(difference => difference.Path.EndsWith(Kind, StringComparison.Ordinal) || !kinds.Any(kind => difference.Path.StartsWith(kind, StringComparison.Ordinal)));
    }

    /// <summary>One line of a message.</summary>
    public override string ToString() =>
        $"model.{Path} is {Ours}; the family has {Theirs}{(Layers is null ? "" : $" (in {(Layers.Contains(',') ? "layers" : "layer")} {Layers}, counted from 0)")}";
}
