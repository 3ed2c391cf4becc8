using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The rules between the parts of <see cref="DataOptions"/>.</summary>
internal static class DataRules
{
    public static IEnumerable<Problem> Check(DataOptions data) =>
        [.. Lists(data), .. Weights(data), .. Settings(data), .. Synthetic(data), .. Pairs(data, "train", data.Train), .. Pairs(data, "validation", data.Validation)];

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
            yield return new Problem("packing", $"is \"{Name(data.Packing)}\", but objective \"{Name(data.Objective)}\" makes rows in its own way; remove packing, or set objective to \"causal\"");
        if (data.EndOfDocument is not null && data.Objective == DataObjective.SequenceToSequence)
            yield return new Problem("endOfDocument", $"is \"{data.EndOfDocument}\", but objective \"sequence-to-sequence\" ends every text, with the tokenizer's own token; remove endOfDocument");
        if (data.EndOfDocument is { Length: 0 })
            yield return new Problem("endOfDocument", "is empty; name a token such as <|endoftext|>, or set it to \"none\"");
        if (data.Masking is not null && data.Objective != DataObjective.Masked)
            yield return new Problem("masking", $"is set, but objective \"{Name(data.Objective)}\" hides no tokens; remove masking, or set objective to \"masked\"");
        if (data.PositionSkipping is not null && (data.Objective != DataObjective.Causal || data.Packing != DataPacking.Crops))
            yield return new Problem("positionSkipping", $"skips within windows of consecutive tokens, but {(data.Objective != DataObjective.Causal ? $"objective \"{Name(data.Objective)}\"" : $"packing \"{Name(data.Packing)}\"")} makes other rows; remove it, or set objective to \"causal\" and packing to \"crops\"");
    }

    /// <summary>Examples are drawn at random: the end of a list of them repeats some of its beginning, but no split repeats the other.</summary>
    private static IEnumerable<Problem> Synthetic(DataOptions data)
    {
        for (var i = 0; i < data.Train?.Count; i++)
            if (data.Train[i] is { Format: SourceFormat.Synthetic } source && (source.Split == SourceSplit.Validation || data.Validation is null))
                yield return source.Split == SourceSplit.Validation
                    ? new Problem($"train.{i}.split", "is \"validation\", whose prompts are kept for data.validation; remove it")
                    : new Problem("validation", $"is missing, but the end of random examples (train.{i}) may repeat what stands before it; name the same source with \"split\": \"validation\"");
        for (var i = 0; i < data.Validation?.Count; i++)
            if (data.Validation[i] is { Format: SourceFormat.Synthetic, Split: not SourceSplit.Validation })
                yield return new Problem($"validation.{i}.split", "must be \"validation\", so that no prompt is also trained on");
    }

    private static IEnumerable<Problem> Pairs(DataOptions data, string list, IReadOnlyList<SourceOptions>? sources)
    {
        for (var i = 0; i < sources?.Count; i++)
        {
            var source = sources[i];
            if (data.IsPaired && !source.IsPaired)
                yield return new Problem($"{list}.{i}", $"has one text, but {Reason(data)} needs pairs; name targetColumn (jsonl, parquet), or targetPath (text, line by line), or use format \"dotnet-translations\" or \"synthetic\"");
            if (!data.IsPaired && (source.TargetColumn ?? source.TargetPath) is { } target)
                yield return new Problem($"{list}.{i}.{(source.TargetColumn is null ? "targetPath" : "targetColumn")}",
                    $"is \"{target}\", but objective \"{Name(data.Objective)}\" reads one text; remove it, or set objective to \"sequence-to-sequence\"{(data.Objective == DataObjective.Causal ? " or packing to \"pairs\"" : "")}");
        }
    }

    private static string Reason(DataOptions data) =>
        data.Packing == DataPacking.Pairs ? "packing \"pairs\"" : $"objective \"{Name(data.Objective)}\"";

    /// <summary>A choice as a recipe writes it.</summary>
    private static string Name<T>(T choice) where T : struct, Enum => choice switch
    {
        DataObjective.SequenceToSequence => "sequence-to-sequence",
        _ => choice.ToString().ToLowerInvariant(),
    };
}
