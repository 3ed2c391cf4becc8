using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>An endless stream of training batches in random order, without replacement within an epoch.</summary>
/// <remarks>The row sequence depends only on data, options and seed, not on batch sizes, and resumes exactly from a saved
/// <see cref="Position"/>. Not thread-safe, but the work that <see cref="Take"/> returns may run on any thread.</remarks>
public abstract class BatchStream
{
    private protected BatchStream()
    {
    }

    /// <summary>The position of the next row; setting it resumes exactly there.</summary>
    /// <exception cref="UserException">The data has no such place.</exception>
    public abstract StreamPosition Position { get; set; }

    /// <summary>Advances past the next rows, perhaps into the next epoch, without reading their tokens; the returned function reads them,
    /// once, on any thread and in any order.</summary>
    public abstract Func<Batch> Take(int rows);

    /// <summary>Takes and reads the next rows.</summary>
    public Batch Next(int rows) => Take(rows)();

    /// <summary>Opens the training data of a recipe at its beginning. The model is given the first <paramref name="prefixLength"/> tokens
    /// of a row, which are no targets. <paramref name="data"/> is not disposed.</summary>
    /// <exception cref="UserException">A source is too short for one row, or the tokenizer lacks a special token that the objective
    /// needs.</exception>
    public static BatchStream Create(PreparedData data, DataOptions options, int contextLength, long seed, int prefixLength = 1)
    {
        var source = RowSource.Create(options, data.Tokenizer, data.Train, contextLength, prefixLength);
        if (!IsMixed(options))
            return source.Open([data.Train.All], [1], seed);
        TokenRange[] ranges = [.. data.TrainSources.Select((range, i) => Named(range, i))];
        return source.Open(ranges, [.. options.Train.Select(each => each.Weight ?? 1)], seed);
    }

    /// <summary>The average number of tokens per row without padding; source and target both count.</summary>
    /// <exception cref="UserException">As for <see cref="Create"/>.</exception>
    public static double TokensPerRow(PreparedData data, DataOptions options, int contextLength, long seed)
    {
        var source = RowSource.Create(options, data.Tokenizer, data.Train, contextLength);
        if (!IsMixed(options))
            return source.TokensPerRow(data.Train.All, seed);
        var weights = options.Train.Select(each => each.Weight ?? 1).ToArray();
        return data.TrainSources.Select((range, i) => weights[i] * source.TokensPerRow(Named(range, i), seed)).Sum() / weights.Sum();
    }

    /// <summary>Of the first batches the first with the most columns, decoder and encoder, padding included: what memory is planned
    /// for.</summary>
    /// <exception cref="UserException">As for <see cref="Create"/>.</exception>
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

    private static TokenRange Named(TokenRange range, int index) => range.Length > 0
        ? range with { Name = $"data.train.{index} ({range.Name})" }
        : throw new UserException($"data.train.{index} ({range.Name}) is held out for validation as a whole, so it cannot be mixed in; "
            + "name validation texts in data.validation");
}

/// <summary>A position in the endless sequence of training rows.</summary>
/// <param name="Epoch">Completed epochs; 0 in a mixture, whose sources count their own.</param>
/// <param name="Index">Rows taken: of the epoch, of the block where there are blocks, or in total for a mixture.</param>
/// <param name="Block">Completed blocks of this epoch; 0 for rows without blocks (see <c>BlockStream</c>).</param>
public sealed record StreamPosition(long Epoch, long Index, long Block = 0)
{
    /// <summary>The position in each source of a mixture, in recipe order; null without a mixture.</summary>
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

/// <summary>A position in one source of a mixture.</summary>
/// <param name="Rows">Rows that it has yielded.</param>
/// <param name="Position">The position of its next row.</param>
public sealed record SourcePosition(long Rows, StreamPosition Position);
