using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>One kind of training rows: how they are found in a shard, and how batches are made of them.</summary>
internal abstract class RowSource
{
    /// <summary>The kind that a recipe asks for: one line here for each.</summary>
    /// <param name="options">Objective and packing.</param>
    /// <param name="tokenizer">The tokenizer of the shard.</param>
    /// <param name="shard">Where the tokens are.</param>
    /// <param name="contextLength">The length of the longest row.</param>
    /// <param name="prefixLength">How many of the first tokens of a row the model is given, which are no targets; 1 for the first alone.</param>
    /// <exception cref="UserException">The tokenizer lacks a special token that is needed.</exception>
    public static RowSource For(DataOptions options, Tokenizer tokenizer, TokenShard shard, int contextLength, int prefixLength = 1)
    {
        var source = Of(options, tokenizer, shard, contextLength);
        source.PrefixLength = prefixLength;
        return source;
    }

    /// <summary>How many of the first tokens of a row are given and no targets, the first one included.</summary>
    public int PrefixLength { get; private set; } = 1;

    private static RowSource Of(DataOptions options, Tokenizer tokenizer, TokenShard shard, int contextLength) => options.Objective switch
    {
        DataObjective.Causal when options.Packing == DataPacking.Documents => new PackedRows(shard, contextLength),
        DataObjective.Causal when options.Packing == DataPacking.Pairs => new PromptRows(shard, contextLength, EndOfText.Of(tokenizer, options.EndOfDocument)),
        DataObjective.Causal when options.PositionSkipping is { Window: var window } => new SkippingRows(shard, window, contextLength),
        DataObjective.Causal => new CropRows(shard, contextLength),
        DataObjective.Masked => new MaskedRows(shard, contextLength, new TokenMasker(tokenizer, options.Masking ?? new()), tokenizer.Frame),
        DataObjective.SequenceToSequence => new PairRows(shard, contextLength, SequenceTokens.Of(tokenizer)),
        _ => throw new ArgumentOutOfRangeException(nameof(options), options.Objective, "this objective has no rows"),
    };

    /// <summary>Batches without end.</summary>
    /// <param name="ranges">The sources; one, or several that are mixed.</param>
    /// <param name="weights">How often each is drawn from.</param>
    /// <param name="seed">Chooses the order.</param>
    /// <exception cref="UserException">A range is too short for one row.</exception>
    public abstract BatchStream Open(IReadOnlyList<TokenRange> ranges, IReadOnlyList<double> weights, long seed);

    /// <summary>How many tokens a row reads, padding left out, on average over the first of a range.</summary>
    /// <exception cref="UserException">The range is too short for one row.</exception>
    public abstract double TokensOfRow(TokenRange range, long seed);

    /// <summary>Batches to validate on.</summary>
    /// <exception cref="UserException">The range is too short for one row.</exception>
    public abstract ValidationSet Validation(TokenRange range, int batchRows, int batches);
}

/// <summary>One kind of training rows, by what says where a row's tokens are.</summary>
internal abstract class RowSource<T> : RowSource
{
    /// <summary>The rows of a range of the shard, in an order chosen by the seed.</summary>
    /// <exception cref="UserException">The range is too short for one row.</exception>
    public abstract RowStream<T> Stream(TokenRange range, long seed);

    /// <summary>How many rows of one source follow each other in a mixture.</summary>
    protected virtual int RowsOfTurn => 1;

    /// <summary>How many tokens a row reads, padding left out.</summary>
    public abstract long Tokens(T row);

    /// <summary>Reads the tokens of rows, each with all the targets that its kind has. Safe for several threads at once.</summary>
    public abstract Batch Collate(ReadOnlySpan<T> rows);

    private Batch Read(ReadOnlySpan<T> rows) => Collate(rows).BehindPrefix(PrefixLength);

    /// <summary>Rows to validate on: the same ones every time, from all over the range.</summary>
    /// <param name="range">Where.</param>
    /// <param name="count">How many at most.</param>
    public virtual IReadOnlyList<T> Fixed(TokenRange range, long count)
    {
        var stream = Stream(range, seed: 0);
        var rows = new List<T>();
        while (rows.Count < count)
        {
            var row = stream.Next();
            if (stream.Position.Epoch > 0)
                break;
            rows.Add(row);
        }
        return rows;
    }

    /// <inheritdoc/>
    public sealed override BatchStream Open(IReadOnlyList<TokenRange> ranges, IReadOnlyList<double> weights, long seed)
    {
        // Each source is shuffled by a seed of its own: two of equal length must not go in step.
        RowStream<T>[] streams = [.. ranges.Select((range, i) => Stream(range, i == 0 ? seed : (long)KeyedPermutation.Mix((ulong)seed + (ulong)i)))];
        return new Rows(streams.Length == 1 ? streams[0] : new MixedStream<T>(streams, weights, RowsOfTurn), this);
    }

    /// <inheritdoc/>
    public sealed override double TokensOfRow(TokenRange range, long seed)
    {
        var (stream, tokens, rows) = (Stream(range, seed), 0L, 0);
        for (; rows < BlockStream<T>.ItemsInBlock && (rows == 0 || stream.Position.Epoch == 0); rows++)
            tokens += Tokens(stream.Next());
        return (double)tokens / rows;
    }

    /// <inheritdoc/>
    public sealed override ValidationSet Validation(TokenRange range, int batchRows, int batches)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchRows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(batches, 1);
        T[] rows = [.. Fixed(range, Math.Min((long)batchRows * batches, int.MaxValue))];
        return new ValidationSet(rows.Length, batchRows, (first, end) => Read(rows.AsSpan(first, end - first)));
    }

    private sealed class Rows(RowStream<T> stream, RowSource<T> source) : BatchStream
    {
        public override StreamPosition Position
        {
            get => stream.Position;
            set => stream.Position = value;
        }

        public override Func<Batch> Take(int rows)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
            var taken = new T[rows];
            for (var row = 0; row < rows; row++)
                taken[row] = stream.Next();
            return () => source.Read(taken);
        }
    }
}
