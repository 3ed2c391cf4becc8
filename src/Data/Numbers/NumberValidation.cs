using Trainer.Configuration;

namespace Trainer.Data.Numbers;

/// <summary>Rules for data of pictures and time series.</summary>
internal static class NumberValidation
{
    public static IEnumerable<Problem> Problems(DataOptions data) =>
        [.. OfKinds(data), .. OfSections(data), .. data.Kind == DataKind.Text ? [] : OfTextSettings(data)];

    private static IEnumerable<Problem> OfKinds(DataOptions data)
    {
        foreach (var (list, index, source) in (data.Train ?? []).Select((source, index) => ("train", index, source))
            .Concat((data.Validation ?? []).Select((source, index) => ("validation", index, source))))
        {
            if (source.Kind != data.Kind)
                yield return new Problem($"{list}.{index}.format",
                    $"holds {Words(source.Kind)}, but data.train.0 holds {Words(data.Kind)}; give all sources in one form");
            if (data.Kind != DataKind.Text && source.Weight is { } weight)
                yield return new Problem($"{list}.{index}.weight", $"is {weight}, but of {Words(data.Kind)} every one is seen as often as "
                    + "any other; remove it");
        }
        foreach (var (list, index) in Undivided(data))
            yield return new Problem($"{list}.{index}.split", list == "train"
                ? "is \"validation\", whose assemblies are kept for data.validation; remove it"
                : "must be \"validation\", so that no assembly is also trained on");
        var fitting = DataOptions.ObjectiveOf(data.Kind);
        var forNumbers = data.Objective is DataObjective.Classification or DataObjective.Forecasting;
        if (data.Objective != fitting && (data.Kind != DataKind.Text || forNumbers))
            yield return new Problem("objective", $"is \"{data.Objective.ToString().ToLowerInvariant()}\", but data.train.0 holds "
                + $"{Words(data.Kind)}; "
                + (data.Kind == DataKind.Text ? "use \"causal\", \"masked\" or \"sequence-to-sequence\"" : "remove it"));
    }

    // Sources of dotnet-metadata in a list that is not of their split.
    private static IEnumerable<(string List, int Index)> Undivided(DataOptions data) =>
        new[] { ("train", data.Train ?? []), ("validation", data.Validation ?? []) }.SelectMany(list => list.Item2.Index()
            .Where(source => source.Item.Format == SourceFormat.DotnetMetadata
                && (source.Item.Split == SourceSplit.Validation) != (list.Item1 == "validation"))
            .Select(source => (list.Item1, source.Index)));

    private static IEnumerable<Problem> OfSections(DataOptions data)
    {
        if (data.Images is not null && data.Kind != DataKind.Images)
            yield return new Problem("images", $"is set, but data.train holds {Words(data.Kind)}; remove it");
        if (data.Series is not null && data.Kind != DataKind.Series)
            yield return new Problem("series", $"is set, but data.train holds {Words(data.Kind)}; remove it");
    }

    private static IEnumerable<Problem> OfTextSettings(DataOptions data)
    {
        foreach (var (path, set) in new[] { ("endOfDocument", data.EndOfDocument is not null), ("chat", data.Chat is not null),
            ("packing", data.Packing != DataPacking.Crops) })
            if (set)
                yield return new Problem(path, $"is for texts, and data.train holds {Words(data.Kind)}; remove it");
    }

    private static string Words(DataKind kind) => kind switch
    {
        DataKind.Images => "pictures",
        DataKind.Series => "time series",
        _ => "texts",
    };
}
