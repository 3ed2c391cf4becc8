using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>What a model is trained and measured on: the section <c>data</c> of a recipe.</summary>
public sealed record DataOptions : IValidated
{
    /// <summary>The texts to train on, read one after the other in this order.</summary>
    [Description("The texts to train on, read one after the other in this order; at least one.")]
    public required IReadOnlyList<SourceOptions> Train { get; init; }

    /// <summary>The texts to validate on; when absent, the end of the training texts is held out instead.</summary>
    [Description("The texts to validate on. When absent, the last part of the training texts is held out (see validationFraction).")]
    public IReadOnlyList<SourceOptions>? Validation { get; init; }

    /// <summary>The share of the training characters, counted from their end, that is held out when <see cref="Validation"/> is absent.</summary>
    /// <remarks>Training keeps the first ⌊(1 − fraction) · characters⌋ characters, as nanoGPT does.</remarks>
    [Description("The share of the training texts' characters, taken from their end, that is held out for validation when data.validation is absent.")]
    [Range(0.0001, 0.9999)]
    public double ValidationFraction { get; init; } = 0.1;

    /// <summary>What the model learns to predict.</summary>
    [Description("What the model learns to predict: causal = the next token; masked = hidden tokens, from both sides; sequence-to-sequence = one text from another.")]
    public DataObjective Objective { get; init; } = DataObjective.Causal;

    /// <summary>How rows are cut out of documents, for the causal objective.</summary>
    [Description("How rows are cut out of documents (objective causal): crops = windows anywhere in the text, across documents; documents = whole documents, several to a row, none of which sees another; pairs = a text to read and behind it the text to write, of which only the latter is learned.")]
    public DataPacking Packing { get; init; } = DataPacking.Crops;

    /// <summary>The token behind each document, by its name; <see cref="EndOfText.None"/> for no token. When absent, the tokenizer's own where it has one.</summary>
    [Description("The token that is put behind each document, so that a model learns where texts end; none = no token. When absent, the tokenizer's own where it has one: </s>, <eos>, [EOS], <|endoftext|>, <|end_of_text|> or [SEP].")]
    public string? EndOfDocument { get; init; }

    /// <summary>Which tokens are hidden, for the masked objective; null for its defaults.</summary>
    [Description("Which tokens are hidden (objective masked).")]
    public MaskingOptions? Masking { get; init; }

    /// <summary>Rows shorter than the context, with positions that skip; null for rows as long as the context.</summary>
    [Description("Rows shorter than model.contextLength whose positions skip, so that the whole of it is learned at the cost of a short window (PoSE; objective causal).")]
    public PositionSkippingOptions? PositionSkipping { get; init; }

    /// <summary>Threads that read batches ahead. The batches do not depend on their number.</summary>
    /// <remarks>None is the default: copying 12 × 64 tokens out of mapped memory takes about 10 µs, as long as handing them from thread to
    /// thread. Threads pay where reading waits: for a disk that is slow or far away.</remarks>
    [Description("Threads that read batches ahead; 0 = none, each batch is read when it is needed. Only the speed depends on it.")]
    [Range(0, 64)]
    public int LoaderThreads { get; init; }

    /// <summary>Tokens of the longest row.</summary>
    /// <param name="contextLength">Positions of the model.</param>
    public int RowLength(int contextLength) => PositionSkipping?.Window ?? contextLength;

    /// <summary>Whether texts are read in pairs of one to read and one to write.</summary>
    public bool IsPaired => Objective == DataObjective.SequenceToSequence || Packing == DataPacking.Pairs;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => DataRules.Check(this);
}
