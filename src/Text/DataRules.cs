using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>The rules between the parts of <see cref="DataOptions"/>.</summary>
internal static class DataRules
{
    public static IEnumerable<Problem> Check(DataOptions data) =>
        [.. Lists(data), .. Weights(data), .. Settings(data), .. Pairs(data, "train", data.Train), .. Pairs(data, "validation", data.Validation)];

    private static IEnumerable<Problem> Lists(DataOptions data)
    {
        if (data.Train is not { Count: > 0 })
            yield return new Problem("train", "is an empty list; name at least one text, such as [{\"path\": \"my.txt\"}] or [{\"format\": \"dotnet-docs\"}]");
        if (data.Validation is { Count: 0 })
            yield return new Problem("validation", "is an empty list; name at least one text, or leave it out to hold out the end of data.train");
    }

    private static IEnumerable<Problem> Weights(DataOptions data)
    {
        for (var i = 0; i < data.Validation?.Count; i++)
            if (data.Validation[i].Weight is not null)
                yield return new Problem($"validation.{i}.weight", "is set, but validation texts are measured by their sizes; remove it");
    }

    private static IEnumerable<Problem> Settings(DataOptions data)
    {
        if (data.Packing != DataPacking.Crops && data.Objective != DataObjective.Causal)
            yield return new Problem("packing", $"is \"documents\", but objective \"{Name(data.Objective)}\" makes rows in its own way; remove packing, or set objective to \"causal\"");
        if (data.Masking is not null && data.Objective != DataObjective.Masked)
            yield return new Problem("masking", $"is set, but objective \"{Name(data.Objective)}\" hides no tokens; remove masking, or set objective to \"masked\"");
        if (data.PositionSkipping is not null && (data.Objective != DataObjective.Causal || data.Packing != DataPacking.Crops))
            yield return new Problem("positionSkipping", $"skips within windows of consecutive tokens, but {(data.Objective != DataObjective.Causal ? $"objective \"{Name(data.Objective)}\"" : "packing \"documents\"")} makes other rows; remove it, or set objective to \"causal\" and packing to \"crops\"");
    }

    private static IEnumerable<Problem> Pairs(DataOptions data, string list, IReadOnlyList<SourceOptions>? sources)
    {
        for (var i = 0; i < sources?.Count; i++)
        {
            var source = sources[i];
            if (data.Objective == DataObjective.SequenceToSequence && !source.IsPaired)
                yield return new Problem($"{list}.{i}", "has one text, but objective \"sequence-to-sequence\" needs pairs; name targetColumn (jsonl, parquet), or targetPath (text, line by line), or use format \"dotnet-translations\"");
            if (data.Objective != DataObjective.SequenceToSequence && (source.TargetColumn ?? source.TargetPath) is { } target)
                yield return new Problem($"{list}.{i}.{(source.TargetColumn is null ? "targetPath" : "targetColumn")}", $"is \"{target}\", but objective \"{Name(data.Objective)}\" reads one text; remove it, or set objective to \"sequence-to-sequence\"");
        }
    }

    /// <summary>An objective as a recipe writes it.</summary>
    private static string Name(DataObjective objective) => objective switch
    {
        DataObjective.SequenceToSequence => "sequence-to-sequence",
        _ => objective.ToString().ToLowerInvariant(),
    };
}
