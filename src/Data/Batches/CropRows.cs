using Trainer.Configuration;
using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>Windows of consecutive tokens, crossing document boundaries; each target is the next token.</summary>
internal sealed class CropRows(TokenShard shard, int contextLength) : RowSource<Crop>
{
    public override RowStream<Crop> Stream(TokenRange range, long seed) =>
        new CropStream(range, contextLength, after: 1, seed, ShiftsWindows);

    public override IReadOnlyList<Crop> ValidationRows(TokenRange range, long count) => Spread(range, contextLength, after: 1, count);

    public override long Tokens(Crop row) => contextLength;

    public override IReadOnlyList<TokenSpan> Spans(Crop row) => [new(row.Start + 1, contextLength, 0)];

    public override Batch Collate(ReadOnlySpan<Crop> rows)
    {
        var inputs = new long[rows.Length * contextLength];    // (B, T)
        var targets = new long[rows.Length * contextLength];   // (B, T)
        for (var row = 0; row < rows.Length; row++)
        {
            var input = inputs.AsSpan(row * contextLength, contextLength);
            var target = targets.AsSpan(row * contextLength, contextLength);
            shard.Read(rows[row].Start, input);
            input[1..].CopyTo(target);
            shard.Read(rows[row].Start + contextLength, target[^1..]);
        }
        return new Batch(inputs, targets, rows.Length, contextLength);
    }

    /// <summary>Disjoint windows, each with <paramref name="after"/> tokens behind it, spread evenly over a range.</summary>
    internal static IReadOnlyList<Crop> Spread(TokenRange range, int length, int after, long count)
    {
        ContextCheck.Require(range, length, after);
        var available = (range.Length - after) / length;
        var windows = new Crop[Math.Min(available, count)];
        for (var i = 0; i < windows.Length; i++)
        {
            var window = (long)((Int128)i * available / windows.Length);
            windows[i] = new Crop(range.Start + window * length, KeyedPermutation.Mix((ulong)window + 1));
        }
        return windows;
    }
}

/// <summary>A window of consecutive tokens, with a random key, distinct for each window and epoch, from which masking draws.</summary>
internal readonly record struct Crop(long Start, ulong Key);

/// <summary>Each epoch visits a grid of disjoint windows, at an offset of its own if it shifts, in random order. Seeks in constant time.
/// </summary>
internal sealed class CropStream : RowStream<Crop>
{
    private readonly TokenRange range;
    private readonly int length;
    private readonly int after;
    private readonly long seed;
    private readonly bool shifts;
    private Epoch current;
    private long index;

    /// <summary><paramref name="after"/> tokens must follow each window: 1 where the last target is the next token.</summary>
    public CropStream(TokenRange range, int length, int after, long seed, bool shifts = true)
    {
        ContextCheck.Require(range, length, after);
        (this.range, this.length, this.after, this.seed, this.shifts) = (range, length, after, seed, shifts);
        current = new Epoch(this, 0);
    }

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
            var offset = crops.shifts ? (long)(KeyedPermutation.Mix(key + 1) % (ulong)Math.Min(length, usable - length + 1)) : 0;
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

internal static class ContextCheck
{
    public static void Require(TokenRange range, int contextLength, int after)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(contextLength, 1);
        if (range.Length < (long)contextLength + after)
            throw new UserException(
                $"{range.Name} has {range.Length} tokens, but model.contextLength ({contextLength}) needs at least "
                + $"{(long)contextLength + after}; "
                + (range.Length > after ? $"set model.contextLength to {range.Length - after} or less, or " : "")
                + "give more text");
    }
}
