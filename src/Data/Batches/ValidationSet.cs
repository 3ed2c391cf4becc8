using System.Collections;

namespace Trainer.Data;

/// <summary>Fixed rows from all over the validation data: the same ones at every evaluation.</summary>
/// <remarks>Rows do not overlap, so that each token is scored at most once. Batches are read when asked for.</remarks>
public sealed class ValidationSet : IReadOnlyList<Batch>
{
    private readonly int batchRows;
    private readonly Func<int, int, Batch> read;
    private readonly Lazy<long> targetTokens;

    /// <summary>Divides rows into batches.</summary>
    /// <param name="rows">How many rows there are.</param>
    /// <param name="batchRows">Rows in each batch; the last one may have fewer.</param>
    /// <param name="read">Reads the rows from one to before another.</param>
    internal ValidationSet(int rows, int batchRows, Func<int, int, Batch> read)
    {
        (Rows, this.batchRows, this.read) = (rows, batchRows, read);
        targetTokens = new Lazy<long>(() => this.Sum(batch => (long)batch.TargetTokens));
    }

    /// <summary>The number of batches: those asked for, or fewer where the data has no more rows.</summary>
    public int Count => (Rows + batchRows - 1) / batchRows;

    /// <summary>The number of rows in all batches together.</summary>
    public int Rows { get; }

    /// <summary>The number of tokens that are scored.</summary>
    public long TargetTokens => targetTokens.Value;

    /// <summary>One batch.</summary>
    /// <param name="index">Which one, from 0 to <see cref="Count"/>−1.</param>
    public Batch this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
            return read(index * batchRows, Math.Min(Rows, (index + 1) * batchRows));
        }
    }

    /// <summary>Chooses the rows.</summary>
    /// <param name="data">The prepared data; not disposed of here.</param>
    /// <param name="options">What the model learns to predict.</param>
    /// <param name="contextLength">The length of the longest row.</param>
    /// <param name="batchRows">Rows in each batch; the last one may have fewer.</param>
    /// <param name="batches">How many batches at most.</param>
    /// <param name="prefixLength">How many of the first tokens of a row the model is given, which are not scored; 1 for the first alone.</param>
    /// <returns>The set.</returns>
    /// <exception cref="Trainer.Configuration.UserException">The validation data is too short for one row, or the tokenizer lacks a special token.</exception>
    public static ValidationSet Create(PreparedData data, DataOptions options, int contextLength, int batchRows, int batches, int prefixLength = 1) =>
        Create(data.Validation, data.Tokenizer, options, contextLength, batchRows, batches, prefixLength);

    /// <summary>Chooses rows of any text.</summary>
    /// <param name="text">The text; not disposed of here.</param>
    /// <param name="tokenizer">The tokenizer it is encoded with.</param>
    /// <param name="options">What the model learns to predict.</param>
    /// <param name="contextLength">The length of the longest row.</param>
    /// <param name="batchRows">Rows in each batch; the last one may have fewer.</param>
    /// <param name="batches">How many batches at most.</param>
    /// <param name="prefixLength">How many of the first tokens of a row the model is given, which are not scored; 1 for the first alone.</param>
    /// <returns>The set.</returns>
    /// <exception cref="Trainer.Configuration.UserException">The text is too short for one row, or the tokenizer lacks a special token.</exception>
    public static ValidationSet Create(TokenShard text, Tokenizer tokenizer, DataOptions options, int contextLength, int batchRows, int batches, int prefixLength = 1) =>
        RowSource.For(options, tokenizer, text, contextLength, prefixLength).Validation(text.All, batchRows, batches);

    /// <inheritdoc/>
    public IEnumerator<Batch> GetEnumerator() => Enumerable.Range(0, Count).Select(index => this[index]).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
