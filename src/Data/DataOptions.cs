using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Data.Tokenizers;

namespace Trainer.Data;

/// <summary>What a model is trained and measured on: the section <c>data</c> of a recipe.</summary>
public sealed partial record DataOptions : IValidated
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

    /// <summary>The token that the decoder of an encoder-decoder begins with, transformers' <c>decoder_start_token_id</c>; null for the
    /// tokenizer's usual one.</summary>
    [Description("The token that the decoder begins with (objective sequence-to-sequence), as a model that was imported expects it; texts "
        + "are then read and written behind the special tokens that the tokenizer puts before them. When absent, the tokenizer's own where "
        + "it has one: <s>, <bos>, [BOS], <|startoftext|>, [CLS], <pad> or [PAD]; else the token that ends texts.")]
    public string? DecoderStartToken { get; init; }

    /// <summary>The token that every generated text begins with, transformers' <c>forced_bos_token_id</c>; null for none.</summary>
    [Description("The token that every text begins with that an encoder-decoder generates (objective sequence-to-sequence), whatever the "
        + "model says, as a model that was imported may expect it. When absent, the model chooses.")]
    public string? ForcedBosToken { get; init; }

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

    internal static DataObjective ObjectiveOf(DataKind kind) => kind switch
    {
        DataKind.Images => DataObjective.Classification,
        DataKind.Series => DataObjective.Forecasting,
        _ => DataObjective.Causal,
    };
}
