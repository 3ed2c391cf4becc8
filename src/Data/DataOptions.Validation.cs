using Trainer.Configuration;
using Trainer.Data.Numbers;

namespace Trainer.Data;

public sealed partial record DataOptions
{
    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() =>
    [
        .. ListProblems(), .. WeightProblems(), .. SettingProblems(), .. SyntheticProblems(), .. ConversationProblems(),
        .. PairProblems("train", Train), .. PairProblems("validation", Validation), .. NumberValidation.Problems(this),
    ];

    private IEnumerable<Problem> ListProblems()
    {
        if (Train is not { Count: > 0 })
            yield return new Problem("train",
                "is an empty list; name at least one text, such as [{\"path\": \"my.txt\"}] or [{\"format\": \"dotnet-docs\"}]");
        if (Validation is { Count: 0 })
            yield return new Problem("validation",
                "is an empty list; name at least one text, or leave it out to hold out the end of data.train");
    }

    private IEnumerable<Problem> WeightProblems()
    {
        for (var i = 0; i < Validation?.Count; i++)
            if (Validation[i].Weight is not null)
                yield return new Problem($"validation.{i}.weight", "is set, but validation texts are measured by their sizes; remove it");
    }

    private IEnumerable<Problem> SettingProblems()
    {
        if (Packing != DataPacking.Crops && Objective != DataObjective.Causal)
            yield return new Problem("packing", $"is \"{Name(Packing)}\", but objective \"{Name(Objective)}\" makes rows in its own way; "
                + "remove packing, or set objective to \"causal\"");
        if (EndOfDocument is not null && Objective == DataObjective.SequenceToSequence)
            yield return new Problem("endOfDocument", $"is \"{EndOfDocument}\", but objective \"sequence-to-sequence\" ends every text, "
                + "with the tokenizer's own token; remove endOfDocument");
        if (EndOfDocument is { Length: 0 })
            yield return new Problem("endOfDocument", "is empty; name a token such as <|endoftext|>, or set it to \"none\"");
        foreach (var (path, token) in new[] { ("decoderStartToken", DecoderStartToken), ("forcedBosToken", ForcedBosToken) })
        {
            if (token is not null && Objective != DataObjective.SequenceToSequence)
                yield return new Problem(path, $"is \"{token}\", but objective \"{Name(Objective)}\" has no decoder beside an encoder; "
                    + $"remove {path}, or set objective to \"sequence-to-sequence\"");
            else if (token is { Length: 0 })
                yield return new Problem(path, "is empty; name a token of the tokenizer, such as </s>, or leave it out");
        }
        if (Masking is not null && Objective != DataObjective.Masked)
            yield return new Problem("masking",
                $"is set, but objective \"{Name(Objective)}\" hides no tokens; remove masking, or set objective to \"masked\"");
        if (PositionSkipping is not null && (Objective != DataObjective.Causal || Packing != DataPacking.Crops))
            yield return new Problem("positionSkipping", "skips within windows of consecutive tokens, "
                + $"but {(Objective != DataObjective.Causal ? $"objective \"{Name(Objective)}\"" : $"packing \"{Name(Packing)}\"")} makes "
                + "other rows; remove it, or set objective to \"causal\" and packing to \"crops\"");
        if (ShiftWindows is not null && !HasWindows)
            yield return new Problem("shiftWindows", "is set, but no row of this data is cut out of a longer text: rows are whole "
                + $"{(HasPreferences ? "preferences" : HasConversations ? "conversations" : IsPaired ? "pairs" : "examples")}; remove it");
    }

    /// <summary>Examples are drawn at random, so the end of a list may repeat its beginning; the two splits never share a prompt.</summary>
    private IEnumerable<Problem> SyntheticProblems()
    {
        for (var i = 0; i < Train?.Count; i++)
            if (Train[i] is { Format: SourceFormat.Synthetic, Task: not WavesTaskOptions } source
                && (source.Split == SourceSplit.Validation || Validation is null))
                yield return source.Split == SourceSplit.Validation
                    ? new Problem($"train.{i}.split", "is \"validation\", whose prompts are kept for data.validation; remove it")
                    : new Problem("validation", $"is missing, but the end of random examples (train.{i}) may repeat what stands before it; "
                        + "name the same source with \"split\": \"validation\"");
        for (var i = 0; i < Validation?.Count; i++)
            if (Validation[i] is { Format: SourceFormat.Synthetic, Task: not WavesTaskOptions, Split: not SourceSplit.Validation })
                yield return new Problem($"validation.{i}.split", "must be \"validation\", so that no prompt is also trained on");
    }

    private IEnumerable<Problem> ConversationProblems()
    {
        var kind = HasPreferences ? "preferences" : "conversations";
        var first = $"data.train.{Train?.Index().FirstOrDefault(source => source.Item.IsConversations || source.Item.IsPreferences).Index}";
        if (!UsesTemplate)
        {
            if (Chat is not null)
                yield return new Problem("chat", "is set, but data.train has no conversations; remove it, or set the format of the sources "
                    + "to \"chat\"");
        }
        else if (Objective != DataObjective.Causal)
            yield return new Problem("objective", $"is \"{Name(Objective)}\", but {kind} ({first}) are learned token after token; set "
                + "it to \"causal\"");
        else if (Packing != DataPacking.Documents)
            yield return new Problem("packing", $"is \"{Name(Packing)}\", but {kind} ({first}) are whole documents; remove it, or set "
                + "it to \"documents\"");
        if ((HasOnlyConversations || HasPreferences) && EndOfDocument is not null)
            yield return new Problem("endOfDocument", $"is \"{EndOfDocument}\", but the template of data.chat ends turns; remove it");
        if (HasPreferences && Conversations.Learn == LearnedTurns.All)
            yield return new Problem("chat.learn", "is \"all\", but two answers are compared by their own tokens; remove it");
        if (HasPreferences && Conversations.Truncation == ConversationTruncation.Split)
            yield return new Problem("chat.truncation",
                "is \"split\", but the parts of an answer cannot be compared; use \"right\", \"left\" or \"drop\"");
        foreach (var (list, index, source) in (Train ?? []).Select((source, index) => ("train", index, source))
            .Concat((Validation ?? []).Select((source, index) => ("validation", index, source))))
            if (HasPreferences ? !source.IsPreferences : source.IsPreferences)
                yield return new Problem($"{list}.{index}.format", (HasPreferences ? "must be \"preferences\""
                    : HasConversations ? "must be \"chat\" or \"dotnet-docs-chat\"" : "must be one of texts")
                    + $", for data.train.0 has {(UsesTemplate ? kind : "a text")}; give all sources in one form");
            else if (source.IsConversations && !HasConversations)
                yield return new Problem($"{list}.{index}.format", "must be one of texts, for data.train has no conversations; give some "
                    + "to train on as well");
    }

    private IEnumerable<Problem> PairProblems(string list, IReadOnlyList<SourceOptions>? sources)
    {
        for (var i = 0; i < sources?.Count; i++)
        {
            var source = sources[i];
            if (IsPaired && !source.IsPaired)
                yield return new Problem($"{list}.{i}", $"has one text, but {PairReason} needs pairs; name targetColumn (jsonl, parquet), "
                    + "or targetPath (text, line by line), or use format \"dotnet-translations\" or \"synthetic\"");
            if (!IsPaired && Kind == DataKind.Text && (source.TargetColumn ?? source.TargetPath) is { } target)
                yield return new Problem($"{list}.{i}.{(source.TargetColumn is null ? "targetPath" : "targetColumn")}",
                    $"is \"{target}\", but objective \"{Name(Objective)}\" reads one text; remove it, or set objective to "
                    + $"\"sequence-to-sequence\"{(Objective == DataObjective.Causal ? " or packing to \"pairs\"" : "")}");
        }
    }

    private string PairReason =>
        Packing == DataPacking.Pairs ? "packing \"pairs\"" : $"objective \"{Name(Objective)}\"";

    private static string Name<T>(T choice) where T : struct, Enum => choice switch
    {
        DataObjective.SequenceToSequence => "sequence-to-sequence",
        _ => choice.ToString().ToLowerInvariant(),
    };
}
