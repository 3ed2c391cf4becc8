using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>An endless stream of training batches in random order, without replacement within an epoch. Data, options and seed determine
/// the rows, whatever the batch sizes. Not thread-safe, but what <see cref="Take"/> returns may run on any thread.</summary>
public abstract class BatchStream
{
    private protected BatchStream()
    {
    }

    /// <summary>The position of the next row; setting it resumes exactly there, or throws where the data has no such place.</summary>
    public abstract StreamPosition Position { get; set; }

    /// <summary>Advances past the next rows, perhaps into the next epoch; the result reads them, once, on any thread.</summary>
    public abstract Func<Batch> Take(int rows);

    /// <summary>Takes and reads the next rows.</summary>
    public Batch Next(int rows) => Take(rows)();

    /// <summary>Opens a recipe's training data at its beginning; <paramref name="data"/> is not disposed. The first
    /// <paramref name="prefixLength"/> tokens of a row are given, and no targets.</summary>
    /// <exception cref="UserException">A source is too short for one row, or the tokenizer lacks a special token.</exception>
    public static BatchStream Create(PreparedData data, DataOptions options, int contextLength, long seed, int prefixLength = 1)
    {
        var source = RowSource.Create(options, data.Tokenizer, data.Train, contextLength, prefixLength);
        return source.Open(Ranges(data, options), IsMixed(options) ? [.. options.Train.Select(each => each.Weight ?? 1)] : [1], seed);
    }

    /// <summary>Every row that training sees in an epoch of each source, once, in a fixed order; a function reads
    /// <paramref name="rows"/> of them, or fewer. They are those of all epochs where <see cref="DataOptions.ShiftWindows"/> is false and
    /// none is drawn. Throws like <see cref="Create"/>.</summary>
    public static IEnumerable<Func<Batch>> Epoch(PreparedData data, DataOptions options, int contextLength, int rows, int prefixLength = 1)
    {
        var source = RowSource.Create(options, data.Tokenizer, data.Train, contextLength, prefixLength);
        return Ranges(data, options).SelectMany(range => source.Epoch(range, rows));
    }

    /// <summary>The average number of tokens per row without padding, in source and target; throws like <see cref="Create"/>.</summary>
    public static double TokensPerRow(PreparedData data, DataOptions options, int contextLength, long seed)
    {
        var source = RowSource.Create(options, data.Tokenizer, data.Train, contextLength);
        if (!IsMixed(options))
            return source.TokensPerRow(data.Train.All, seed);
        var weights = options.Train.Select(each => each.Weight ?? 1).ToArray();
        return data.TrainSources.Select((range, i) => weights[i] * source.TokensPerRow(Named(range, i), seed)).Sum() / weights.Sum();
    }

    /// <summary>The widest of the first batches, decoder and encoder together, padding included: what memory is planned for.</summary>
    public static Batch Longest(PreparedData data, DataOptions options, int contextLength, long seed, int rows, long batches)
    {
        var stream = Create(data, options, contextLength, seed);
        var longest = stream.Next(rows);
        for (long i = 1; i < batches; i++)
        {
            var batch = stream.Next(rows);
            if (Columns(batch) > Columns(longest)) longest = batch;
        }
        return longest;

        static int Columns(Batch batch) => batch.Columns + (batch.Source?.Columns ?? 0);
    }

    private static bool IsMixed(DataOptions options) => options.Train.Count > 1 && options.Train.Any(each => each.Weight is not null);

    private static TokenRange[] Ranges(PreparedData data, DataOptions options) =>
        IsMixed(options) ? [.. data.TrainSources.Select(Named)] : [data.Train.All];

    private static TokenRange Named(TokenRange range, int index) => range.Length > 0
        ? range with { Name = $"data.train.{index} ({range.Name})" }
        : throw new UserException($"data.train.{index} ({range.Name}) is held out for validation as a whole, so it cannot be mixed in; "
            + "name validation texts in data.validation");
}

/// <summary>A position in the endless sequence of rows: completed epochs (0 in a mixture), rows of the epoch or block (in total for a
/// mixture), completed blocks of the epoch (0 without blocks).</summary>
public sealed record StreamPosition(long Epoch, long Index, long Block = 0)
{
    /// <summary>The position in each source of a mixture, in recipe order; null without one.</summary>
    public IReadOnlyList<SourcePosition>? Sources { get; init; }

    /// <inheritdoc/>
    public bool Equals(StreamPosition? other) =>
        other is not null && (Epoch, Index, Block) == (other.Epoch, other.Index, other.Block)
        && (Sources ?? []).SequenceEqual(other.Sources ?? []);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Epoch, Index, Block, Sources?.Count);

    /// <inheritdoc/>
    public override string ToString() => Sources is null
        ? $"epoch {Epoch}, {(Block > 0 ? $"block {Block:N0}, " : "")}row {Index:N0}"
        : $"row {Index:N0} of the mixture";
}

/// <summary>A position in one source of a mixture, after so many of its rows.</summary>
public sealed record SourcePosition(long Rows, StreamPosition Position);
