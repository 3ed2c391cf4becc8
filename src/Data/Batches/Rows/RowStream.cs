using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>An endless sequence of rows, shuffled anew each epoch and without replacement within it.</summary>
/// <remarks>What comes next follows from seed and position alone, never from how many rows are taken at a time. A row says where its
/// tokens are; reading them is left to <see cref="RowSource{T}.Collate"/>, which any thread may do.</remarks>
/// <typeparam name="T">What says where a row's tokens are.</typeparam>
internal abstract class RowStream<T>
{
    /// <summary>The place of the next row. Setting it continues there, exactly.</summary>
    /// <exception cref="UserException">There is no such place.</exception>
    public abstract StreamPosition Position { get; set; }

    /// <summary>Takes the next row.</summary>
    public abstract T Next();

    /// <summary>A key for one epoch of a seed.</summary>
    protected static ulong EpochKey(long seed, long epoch) =>
        KeyedPermutation.Mix(KeyedPermutation.Mix((ulong)seed + 0x9E3779B97F4A7C15) + (ulong)epoch);

    /// <summary>Says that a position is of other data.</summary>
    protected static UserException NoSuchPlace(StreamPosition position, string what) => new(
        $"the position in the data ({position}) does not exist: {what}; the data or model.contextLength changed since it was saved");
}
