using System.Collections;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Batches;

/// <summary>Fixed rows from all over the validation data, without overlap, always the same; read on demand.</summary>
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

    /// <summary>As requested, or fewer if the data is short.</summary>
    public int Count => (Rows + batchRows - 1) / batchRows;

    internal int Rows { get; }

    /// <summary>The same rows in the same order, so many at once.</summary>
    public ValidationSet InBatchesOf(int rows)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        return new(Rows, rows, read);
    }

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

    /// <summary>Selects <paramref name="batches"/> batches at most; a row's first <paramref name="prefixLength"/> are not scored.</summary>
    /// <exception cref="Trainer.Configuration.UserException">The data is too short for a row, or a special token is missing.</exception>
    public static ValidationSet Create(PreparedData data, DataOptions options, int contextLength, int batchRows, int batches,
        int prefixLength = 1) =>
        Create(data.Validation, data.Tokenizer, options, contextLength, batchRows, batches, prefixLength);

    /// <summary>As the other, for any encoded text.</summary>
    public static ValidationSet Create(TokenShard text, Tokenizer tokenizer, DataOptions options, int contextLength, int batchRows,
        int batches, int prefixLength = 1) =>
        RowSource.Create(options, tokenizer, text, contextLength, prefixLength).Validation(text.All, batchRows, batches);

    /// <inheritdoc/>
    public IEnumerator<Batch> GetEnumerator() => Enumerable.Range(0, Count).Select(index => this[index]).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
