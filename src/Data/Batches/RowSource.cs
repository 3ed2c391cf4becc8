using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Batches;

internal abstract class RowSource
{
    /// <summary>Selects the kind that a recipe asks for; add new kinds here. <paramref name="contextLength"/> is the longest row.</summary>
    public static RowSource Create(DataOptions options, Tokenizer tokenizer, TokenShard shard, int contextLength, int prefixLength = 1)
    {
        var source = Select(options, tokenizer, shard, contextLength);
        (source.PrefixLength, source.ShiftsWindows) = (prefixLength, options.ShiftsWindows);
        return source;
    }

    /// <summary>How many leading tokens of a row are given and not targets, counting the first.</summary>
    public int PrefixLength { get; private set; } = 1;

    /// <summary>Whether rows that are cut out of longer texts are cut elsewhere in every epoch.</summary>
    public bool ShiftsWindows { get; private set; } = true;

    private static RowSource Select(DataOptions options, Tokenizer tokenizer, TokenShard shard, int contextLength) =>
        options.Objective switch
    {
        DataObjective.Causal when options.HasPreferences =>
            new PreferenceRows(shard, contextLength, options.Conversations.Truncation),
        DataObjective.Causal when options.Packing == DataPacking.Documents =>
            new PackedRows(shard, contextLength, options.HasConversations ? options.Conversations.Truncation : null),
        DataObjective.Causal when options.Packing == DataPacking.Pairs =>
            new PromptRows(shard, contextLength, EndOfText.Of(tokenizer, options.EndOfDocument)),
        DataObjective.Causal when options.PositionSkipping is { Window: var window } => new SkippingRows(shard, window, contextLength),
        DataObjective.Causal => new CropRows(shard, contextLength),
        DataObjective.Masked => new MaskedRows(
            shard, contextLength, new TokenMasker(tokenizer, options.Masking ?? new()), tokenizer.Template),
        DataObjective.SequenceToSequence => new SequenceToSequenceRows(shard, contextLength, SequenceTokens.Of(tokenizer, options)),
        _ => throw new ArgumentOutOfRangeException(nameof(options), options.Objective, "this objective has no rows"),
    };

    public abstract BatchStream Open(IReadOnlyList<TokenRange> ranges, IReadOnlyList<double> weights, long seed);

    /// <summary>The rows of an epoch, each once, in a fixed order; a function reads some of them.</summary>
    public abstract IEnumerable<Func<Batch>> Epoch(TokenRange range, int rows);

    public abstract double TokensPerRow(TokenRange range, long seed);

    public abstract ValidationSet Validation(TokenRange range, int batchRows, int batches);
}

internal abstract class RowSource<T> : RowSource
{
    public abstract RowStream<T> Stream(TokenRange range, long seed);

    protected virtual int RunLength => 1;

    public abstract long Tokens(T row);

    /// <summary>The tokens of a row in the shard. Thread-safe.</summary>
    public abstract IReadOnlyList<TokenSpan> Spans(T row);

    /// <summary>Reads the tokens and targets of rows. Thread-safe.</summary>
    public abstract Batch Collate(ReadOnlySpan<T> rows);

    private Batch Read(ReadOnlySpan<T> rows) => Collate(rows).WithoutPrefixTargets(PrefixLength);

    private Func<Batch> Reader(T[] rows) => () => Read(rows) with { Origin = row => Spans(rows[row]) };

    /// <summary>Up to <paramref name="count"/> fixed rows from all over the range.</summary>
    public virtual IReadOnlyList<T> ValidationRows(TokenRange range, long count) =>
        [.. Epoch(range).Take((int)Math.Min(count, int.MaxValue))];

    private IEnumerable<T> Epoch(TokenRange range)
    {
        var stream = Stream(range, seed: 0);
        while (true)
        {
            var row = stream.Next();
            if (stream.Position.Epoch > 0)
                yield break;
            yield return row;
        }
    }

    public sealed override IEnumerable<Func<Batch>> Epoch(TokenRange range, int rows) =>
        Epoch(range).Chunk(rows).Select(Reader);

    public sealed override BatchStream Open(IReadOnlyList<TokenRange> ranges, IReadOnlyList<double> weights, long seed)
    {
        // Distinct seeds, so that sources of equal length are not shuffled alike.
        RowStream<T>[] streams = [.. ranges.Select((range, i) => Stream(range,
            i == 0 ? seed : (long)KeyedPermutation.Mix((ulong)seed + (ulong)i)))];
        return new RowBatches<T>(streams.Length == 1 ? streams[0] : new MixedStream<T>(streams, weights, RunLength), Reader);
    }

    public sealed override double TokensPerRow(TokenRange range, long seed)
    {
        var (stream, tokens, rows) = (Stream(range, seed), 0L, 0);
        for (; rows < BlockStream<T>.ItemsInBlock && (rows == 0 || stream.Position.Epoch == 0); rows++)
            tokens += Tokens(stream.Next());
        return (double)tokens / rows;
    }

    public sealed override ValidationSet Validation(TokenRange range, int batchRows, int batches)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchRows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(batches, 1);
        T[] rows = [.. ValidationRows(range, Math.Min((long)batchRows * batches, int.MaxValue))];
        return new ValidationSet(rows.Length, batchRows, (first, end) => Read(rows.AsSpan(first, end - first)));
    }
}

/// <summary>Batches of the rows of a stream; <paramref name="reader"/> reads those of a batch, on any thread.</summary>
internal sealed class RowBatches<T>(RowStream<T> stream, Func<T[], Func<Batch>> reader) : BatchStream
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
        return reader(taken);
    }
}
