namespace Trainer.Data;

/// <summary>A window of consecutive tokens.</summary>
/// <param name="Start">The index of its first token.</param>
/// <param name="Key">Random, and different for each window and epoch: what masking draws from.</param>
internal readonly record struct Crop(long Start, ulong Key);

/// <summary>Windows of one length in random order.</summary>
/// <remarks>Each epoch lays a grid of disjoint windows over the tokens, shifted by an offset of its own, and
/// visits every window once in an order of its own. Any place in the sequence is reached at once.</remarks>
internal sealed class CropStream : RowStream<Crop>
{
    private readonly TokenRange range;
    private readonly int length;
    private readonly int after;
    private readonly long seed;
    private Epoch current;
    private long index;

    /// <summary>Starts at the first window of epoch 0.</summary>
    /// <param name="range">The tokens.</param>
    /// <param name="length">The length of each window.</param>
    /// <param name="after">How many tokens must follow each window: 1 where its last token has the next one as target.</param>
    /// <param name="seed">Chooses the sequence.</param>
    /// <exception cref="Configuration.UserException">The range is shorter than one window.</exception>
    public CropStream(TokenRange range, int length, int after, long seed)
    {
        ContextCheck.Require(range, length, after);
        (this.range, this.length, this.after, this.seed) = (range, length, after, seed);
        current = new Epoch(this, 0);
    }

    /// <summary>The number of windows in the current epoch; epochs differ by one at most.</summary>
    public long WindowsInEpoch => current.Windows;

    public override StreamPosition Position
    {
        get => new(current.Number, index);
        set
        {
            var epoch = value.Epoch >= 0 ? new Epoch(this, value.Epoch) : null;
            if (epoch is null || value.Index < 0 || value.Index > epoch.Windows || value.Block != 0 || value.Sources is not null)
                throw NoSuchPlace(value, $"{range.Name} has {(epoch ?? current).Windows} windows of {length} tokens an epoch");
            (current, index) = (epoch, value.Index);
        }
    }

    public override Crop Next()
    {
        if (index == current.Windows)
            (current, index) = (new Epoch(this, current.Number + 1), 0);
        return current.At(index++);
    }

    /// <summary>One pass over the range.</summary>
    private sealed class Epoch
    {
        private readonly long first;
        private readonly int length;
        private readonly ulong key;
        private readonly KeyedPermutation order;

        public Epoch(CropStream crops, long number)
        {
            key = EpochKey(crops.seed, number);
            length = crops.length;
            var usable = crops.range.Length - crops.after;
            var offset = (long)(KeyedPermutation.Mix(key + 1) % (ulong)Math.Min(length, usable - length + 1));
            first = crops.range.Start + offset;
            Number = number;
            Windows = (usable - offset) / length;
            order = new KeyedPermutation(Windows, KeyedPermutation.Mix(key + 2));
        }

        public long Number { get; }

        public long Windows { get; }

        public Crop At(long index)
        {
            var window = order[index];
            return new Crop(first + window * length, KeyedPermutation.Mix(key + 3 + (ulong)window * 0x9E3779B97F4A7C15));
        }
    }
}
