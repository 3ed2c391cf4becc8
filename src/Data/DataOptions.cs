using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Data.Tokenizers;

namespace Trainer.Data;

/// <summary>What a model is trained and measured on: the section <c>data</c> of a recipe.</summary>
public sealed record DataOptions : IValidated
{
    /// <summary>Training texts, read in this order.</summary>
    [Description("The texts to train on, read one after the other in this order; at least one.")]
    public required IReadOnlyList<SourceOptions> Train { get; init; }

    /// <summary>Validation texts; when absent, the end of the training texts is held out.</summary>
    [Description("The texts to validate on. When absent, the last part of the training texts is held out (see validationFraction).")]
    public IReadOnlyList<SourceOptions>? Validation { get; init; }

    /// <summary>The share of the training characters, at their end, that is held out where <see cref="Validation"/> is absent.</summary>
    [Description("The share of the training texts' characters, taken from their end, that is held out for validation when data.validation "
        + "is absent.")]
    [Range(0.0001, 0.9999)]
    public double ValidationFraction { get; init; } = 0.1;

    /// <summary>What the model learns to predict.</summary>
    [Description("What the model learns to predict: causal = the next token; masked = hidden tokens, from both sides; sequence-to-sequence "
        + "= one text from another; classification = the class of a picture; forecasting = the next values of a time series. When absent, "
        + "the sources say: causal for texts, classification for pictures, forecasting for time series.")]
    public DataObjective Objective
    {
        get => objective ?? ObjectiveOf(Kind);
        init => objective = value;
    }

    private readonly DataObjective? objective;

    /// <summary>How the causal objective cuts documents into rows; conversations are whole documents.</summary>
    [Description("How rows are cut out of documents (objective causal): crops = windows anywhere in the text, across documents; documents "
        + "= whole documents, several to a row, none of which sees another; pairs = a text to read and behind it the text to write, of "
        + "which only the latter is learned. Conversations (format chat) are documents.")]
    public DataPacking Packing
    {
        get => packing ?? (UsesTemplate ? DataPacking.Documents : DataPacking.Crops);
        init => packing = value;
    }

    private readonly DataPacking? packing;

    /// <summary>How conversations are learned; null for the defaults, and where there are none.</summary>
    [Description("How conversations are learned (sources of format chat).")]
    public ConversationOptions? Chat { get; init; }

    /// <summary>How pictures are read; null for the defaults, and where there are none.</summary>
    [Description("How pictures are read (sources of format images).")]
    public ImageDataOptions? Images { get; init; }

    /// <summary>How tables of time series are read; null for the defaults, and where there are none.</summary>
    [Description("How tables of time series are read (sources of format series).")]
    public SeriesDataOptions? Series { get; init; }

    /// <summary>The token that ends each document; <see cref="EndOfText.None"/> for none, null for the tokenizer's own, if any.</summary>
    [Description("The token that is put behind each document, so that a model learns where texts end; none = no token. When absent, the "
        + "tokenizer's own where it has one: </s>, <eos>, [EOS], <|endoftext|>, <|end_of_text|> or [SEP].")]
    public string? EndOfDocument { get; init; }

    /// <summary>Which tokens the masked objective hides; null for the defaults.</summary>
    [Description("Which tokens are hidden (objective masked).")]
    public MaskingOptions? Masking { get; init; }

    /// <summary>Rows shorter than the context whose positions skip; null for rows as long as the context.</summary>
    [Description("Rows shorter than model.contextLength whose positions skip, so that the whole of it is learned at the cost of a short "
        + "window (PoSE; objective causal).")]
    public PositionSkippingOptions? PositionSkipping { get; init; }

    /// <summary>Whether windows, and the parts of documents longer than a row, begin elsewhere in every epoch; null: they do, unless the
    /// recipe keeps something of each row, as <c>distillation.cache</c> does.</summary>
    [Description("Whether windows, and the parts of documents longer than a row, begin elsewhere in every epoch; false: at the same "
        + "places, in another order. When absent: true, and false with distillation.cache.")]
    public bool? ShiftWindows { get; init; }

    /// <summary>Threads that read batches ahead, the same ones for any number. 0 by default: copying 12 × 64 tokens from mapped memory
    /// takes about 10 µs, as long as handing them between threads; threads pay off where reading waits for a slow disk.</summary>
    [Description("Threads that read batches ahead; 0 = none, each batch is read when it is needed. Only the speed depends on it.")]
    [Range(0, 64)]
    public int LoaderThreads { get; init; }

    /// <summary>Tokens in the longest row, given the model's context length.</summary>
    public int RowLength(int contextLength) => PositionSkipping?.Window ?? contextLength;

    /// <summary>Whether texts come in pairs: one to read, one to write.</summary>
    public bool IsPaired => Objective == DataObjective.SequenceToSequence || Packing == DataPacking.Pairs;

    /// <summary>Whether there are conversations among the sources; texts beside them are learned whole.</summary>
    public bool HasConversations => Train?.Any(source => source.IsConversations) == true;

    internal bool HasOnlyConversations => HasConversations && Train.Concat(Validation ?? []).All(source => source.IsConversations);

    /// <summary>Whether some rows are cut out of longer texts, so that <see cref="ShiftWindows"/> matters.</summary>
    [JsonIgnore]
    public bool HasWindows =>
        Kind == DataKind.Text && !IsPaired && !HasPreferences && Train?.All(source => source.IsConversations) != true;

    internal bool ShiftsWindows => ShiftWindows ?? true;

    /// <summary>Whether the sources are preferences.</summary>
    public bool HasPreferences => Train is { Count: > 0 } && Train[0].IsPreferences;

    /// <summary>Whether a chat template writes what is learned.</summary>
    public bool UsesTemplate => HasConversations || HasPreferences;

    /// <summary>What the sources hold: texts, pictures or time series.</summary>
    [JsonIgnore]
    public DataKind Kind => Train is { Count: > 0 } ? Train[0].Kind : DataKind.Text;

    internal ConversationOptions Conversations => Chat ?? new();

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

    internal static DataObjective ObjectiveOf(DataKind kind) => kind switch
    {
        DataKind.Images => DataObjective.Classification,
        DataKind.Series => DataObjective.Forecasting,
        _ => DataObjective.Causal,
    };

    private static string Name<T>(T choice) where T : struct, Enum => choice switch
    {
        DataObjective.SequenceToSequence => "sequence-to-sequence",
        _ => choice.ToString().ToLowerInvariant(),
    };
}

/// <summary>What a model learns to predict from its text.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DataObjective>))]
public enum DataObjective
{
    /// <summary>The next token, given those before it.</summary>
    [JsonStringEnumMemberName("causal")]
    Causal,

    /// <summary>Hidden tokens, given those on both sides (BERT).</summary>
    [JsonStringEnumMemberName("masked")]
    Masked,

    /// <summary>A target text, token by token, given a source text.</summary>
    [JsonStringEnumMemberName("sequence-to-sequence")]
    SequenceToSequence,

    /// <summary>The class of a picture.</summary>
    [JsonStringEnumMemberName("classification")]
    Classification,

    /// <summary>The next values of a time series, given those before.</summary>
    [JsonStringEnumMemberName("forecasting")]
    Forecasting,
}

/// <summary>What sources hold.</summary>
public enum DataKind
{
    /// <summary>Texts, which become tokens.</summary>
    Text,

    /// <summary>Pictures.</summary>
    Images,

    /// <summary>Time series.</summary>
    Series,
}

/// <summary>How rows of tokens are cut out of documents.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<DataPacking>))]
public enum DataPacking
{
    /// <summary>Windows anywhere in the text, crossing document boundaries.</summary>
    [JsonStringEnumMemberName("crops")]
    Crops,

    /// <summary>Whole documents, several to a row, with boundaries kept.</summary>
    [JsonStringEnumMemberName("documents")]
    Documents,

    /// <summary>A text to read followed by the text to write; only the latter is predicted.</summary>
    [JsonStringEnumMemberName("pairs")]
    Pairs,
}
