using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Training batches in random order, without end and without replacement within an epoch.</summary>
/// <remarks>The sequence of rows follows from data, options and seed alone: it does not depend on how many are taken at a time, and
/// it goes on from a saved <see cref="Position"/> exactly. For one thread at a time; the work that <see cref="Take"/> returns is for any.</remarks>
public abstract class BatchStream
{
    private protected BatchStream()
    {
    }

    /// <summary>The place of the next row. Setting it continues there, exactly.</summary>
    /// <exception cref="UserException">The data has no such place.</exception>
    public abstract StreamPosition Position { get; set; }

    /// <summary>Moves past the next rows without reading their tokens.</summary>
    /// <param name="rows">How many; they may reach into the next epoch.</param>
    /// <returns>Reads them; to be called once, on any thread, in any order with others.</returns>
    public abstract Func<Batch> Take(int rows);

    /// <summary>Takes and reads the next rows.</summary>
    /// <param name="rows">How many; they may reach into the next epoch.</param>
    /// <returns>The batch.</returns>
    public Batch Next(int rows) => Take(rows)();

    /// <summary>Opens the training data of a recipe.</summary>
    /// <param name="data">The prepared data; not disposed of here.</param>
    /// <param name="options">Objective, packing, masking and weights.</param>
    /// <param name="contextLength">The length of the longest row.</param>
    /// <param name="seed">Chooses the order.</param>
    /// <param name="prefixLength">How many of the first tokens of a row the model is given, which are no targets; 1 for the first alone.</param>
    /// <returns>The stream, at its beginning.</returns>
    /// <exception cref="UserException">A source is too short for one row, or the tokenizer lacks a special token that the objective needs.</exception>
    public static BatchStream Create(PreparedData data, DataOptions options, int contextLength, long seed, int prefixLength = 1)
    {
        var source = RowSource.For(options, data.Tokenizer, data.Train, contextLength, prefixLength);
        if (!IsMixed(options))
            return source.Open([data.Train.All], [1], seed);
        TokenRange[] ranges = [.. data.TrainSources.Select((range, i) => Named(range, i))];
        return source.Open(ranges, [.. options.Train.Select(each => each.Weight ?? 1)], seed);
    }

    /// <summary>How many tokens a row reads on average, padding left out: documents do not fill every row, and pairs are as long as they are.</summary>
    /// <param name="data">The prepared data; not disposed of here.</param>
    /// <param name="options">Objective and packing.</param>
    /// <param name="contextLength">The length of the longest row.</param>
    /// <param name="seed">Chooses the order.</param>
    /// <returns>Tokens; of a text to read and one to write, both.</returns>
    /// <exception cref="UserException">As for <see cref="Create"/>.</exception>
    public static double TokensOfRow(PreparedData data, DataOptions options, int contextLength, long seed)
    {
        var source = RowSource.For(options, data.Tokenizer, data.Train, contextLength);
        if (!IsMixed(options))
            return source.TokensOfRow(data.Train.All, seed);
        var weights = options.Train.Select(each => each.Weight ?? 1).ToArray();
        return data.TrainSources.Select((range, i) => weights[i] * source.TokensOfRow(Named(range, i), seed)).Sum() / weights.Sum();
    }

    /// <summary>Of the first batches the one with the longest rows, padding and all: what memory is planned for.</summary>
    /// <param name="data">The prepared data; not disposed of here.</param>
    /// <param name="options">Objective and packing.</param>
    /// <param name="contextLength">The length of the longest row.</param>
    /// <param name="seed">Chooses the order.</param>
    /// <param name="rows">Rows of a batch.</param>
    /// <param name="batches">How many batches to look at.</param>
    /// <returns>The first with the most columns, those of what an encoder reads counted, too.</returns>
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
        : throw new UserException($"data.train.{index} ({range.Name}) is held out for validation as a whole, so it cannot be mixed in; name validation texts in data.validation");
}
