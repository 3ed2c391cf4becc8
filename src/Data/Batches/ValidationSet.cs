using System.Collections;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Batches;

/// <summary>Fixed rows from all over the validation data, the same at every evaluation.</summary>
/// <remarks>Rows do not overlap, so each token is scored at most once. Batches are read on demand.</remarks>
public sealed class ValidationSet : IReadOnlyList<Batch>
{
    private readonly int batchRows;
    private readonly Func<int, int, Batch> read;
    private readonly Lazy<long> targetTokens;

    internal ValidationSet(int rows, int batchRows, Func<int, int, Batch> read)
    {
        (Rows, this.batchRows, this.read) = (rows, batchRows, read);
        targetTokens = new Lazy<long>(() => this.Sum(batch => (long)batch.TargetTokens));
    }

    /// <summary>Number of batches: as requested, or fewer if the data is short.</summary>
    public int Count => (Rows + batchRows - 1) / batchRows;

    /// <summary>Rows in all batches together.</summary>
    internal int Rows { get; }

    /// <summary>Number of scored tokens.</summary>
    public long TargetTokens => targetTokens.Value;

    /// <summary>The batch at an index; the last may have fewer rows.</summary>
    public Batch this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
            return read(index * batchRows, Math.Min(Rows, (index + 1) * batchRows));
        }
    }

    /// <summary>Selects validation rows of prepared data, up to <paramref name="batches"/> batches. The model is given the first
    /// <paramref name="prefixLength"/> tokens of a row, which are not scored.</summary>
    /// <exception cref="Trainer.Configuration.UserException">The validation data is too short for one row, or the tokenizer lacks a special
    /// token.</exception>
    public static ValidationSet Create(PreparedData data, DataOptions options, int contextLength, int batchRows, int batches,
        int prefixLength = 1) =>
        Create(data.Validation, data.Tokenizer, options, contextLength, batchRows, batches, prefixLength);

    /// <summary>Selects rows of any encoded text.</summary>
    /// <exception cref="Trainer.Configuration.UserException">The text is too short for one row, or the tokenizer lacks a special
    /// token.</exception>
    public static ValidationSet Create(TokenShard text, Tokenizer tokenizer, DataOptions options, int contextLength, int batchRows,
        int batches, int prefixLength = 1) =>
        RowSource.Create(options, tokenizer, text, contextLength, prefixLength).Validation(text.All, batchRows, batches);

    /// <inheritdoc/>
    public IEnumerator<Batch> GetEnumerator() => Enumerable.Range(0, Count).Select(index => this[index]).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
