using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>The training windows of a shard in random order, without replacement and without end.</summary>
/// <remarks>Each epoch lays a grid of disjoint windows over the tokens, shifted by an offset of its own, and
/// visits every window once in an order of its own. Both depend on seed and epoch only: the sequence of
/// windows does not depend on how many are taken at a time, and any place in it is reached at once.</remarks>
public sealed class RandomCrops
{
    private readonly TokenShard shard;
    private readonly int contextLength;
    private readonly long seed;
    private Epoch current;
    private long index;

    /// <summary>Starts at the first window of epoch 0.</summary>
    /// <param name="shard">The tokens; not disposed of here.</param>
    /// <param name="contextLength">The length of each window.</param>
    /// <param name="seed">Chooses the sequence.</param>
    /// <exception cref="UserException">The shard is shorter than one window.</exception>
    public RandomCrops(TokenShard shard, int contextLength, long seed)
    {
        ContextCheck.Require(shard, contextLength);
        (this.shard, this.contextLength, this.seed) = (shard, contextLength, seed);
        current = new Epoch(this, 0);
    }

    /// <summary>The number of windows in the current epoch; epochs differ by one at most.</summary>
    public long WindowsInEpoch => current.Windows;

    /// <summary>The place of the next window. Setting it continues there, exactly.</summary>
    /// <exception cref="UserException">The data has no such place.</exception>
    public CropPosition Position
    {
        get => new(current.Number, index);
        set
        {
            var epoch = value.Epoch >= 0 ? new Epoch(this, value.Epoch) : null;
            if (epoch is null || value.Index < 0 || value.Index > epoch.Windows)
                throw new UserException(
                    $"the position in the data (epoch {value.Epoch}, window {value.Index}) does not exist: {shard.Name} has {(epoch ?? current).Windows} windows "
                    + $"of {contextLength} tokens an epoch; the data or model.contextLength changed since it was saved");
            (current, index) = (epoch, value.Index);
        }
    }

    /// <summary>Takes the next windows.</summary>
    /// <param name="rows">How many; they may reach into the next epoch.</param>
    /// <returns>Inputs and targets (rows × contextLength); each target is the token after its input.</returns>
    public Batch Next(int rows)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        var starts = new long[rows];
        for (var row = 0; row < rows; row++)
        {
            if (index == current.Windows)
                (current, index) = (new Epoch(this, current.Number + 1), 0);
            starts[row] = current.Start(index++);
        }
        return Batch.OfWindows(shard, contextLength, starts);
    }

    /// <summary>One pass over the shard.</summary>
    private sealed class Epoch
    {
        private readonly long offset;
        private readonly int contextLength;
        private readonly KeyedPermutation order;

        public Epoch(RandomCrops crops, long number)
        {
            var key = KeyedPermutation.Mix(KeyedPermutation.Mix((ulong)crops.seed + 0x9E3779B97F4A7C15) + (ulong)number);
            var last = crops.shard.Length - 1;   // the last token is a target only
            contextLength = crops.contextLength;
            offset = (long)(KeyedPermutation.Mix(key + 1) % (ulong)Math.Min(contextLength, last - contextLength + 1));
            Number = number;
            Windows = (last - offset) / contextLength;
            order = new KeyedPermutation(Windows, KeyedPermutation.Mix(key + 2));
        }

        public long Number { get; }

        public long Windows { get; }

        public long Start(long index) => offset + order[index] * contextLength;
    }
}
