using TorchSharp;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Caches;

public class KeyValueCacheTests
{
    private static readonly CacheLayout Layout = new(2, 3, 1, 5);

    [Theory]
    [InlineData(5, 0)]
    [InlineData(5, 3)]
    [InlineData(1, 2)]
    [InlineData(40, 1)]
    public void A_rolling_cache_gives_sinks_and_window_at_their_positions(int window, int sinks)
    {
        using DisposeScope scope = NewDisposeScope();
        using RollingCache cache = new(Layout, 1, new(window, sinks), ScalarType.Float32, CPU);
        Random random = new(3);
        for (int length = 0; length < 400;)
        {
            int added = random.Next(10) == 0 ? random.Next(1, 90) : 1;
            Tensor rows = arange(length, length + added).to_type(ScalarType.Float32).view(1, 1, -1, 1);
            var (first, second, span) = cache.Append(rows.expand(1, 2, added, 3), rows.expand(1, 1, added, 5));
            length += added;
            // Each row holds its own position, in the span's order.
            long[] positions = span.Positions(CPU).data<long>().ToArray();
            Assert.Equal(
                positions.Select(position => (float)position),
                first.select(0, 0).select(0, 1).select(1, 2).contiguous().data<float>().ToArray());
            Assert.Equal(
                positions.Select(position => (float)position),
                second.select(0, 0).select(0, 0).select(1, 4).contiguous().data<float>().ToArray());
            // What each new position sees is there.
            IEnumerable<long> seen = Enumerable.Range(length - added, added)
                .SelectMany(query => Enumerable.Range(0, query + 1).Where(key => key > query - window || key < sinks))
                .Select(key => (long)key).Distinct();
            Assert.Empty(seen.Except(positions));
        }
    }

    [Fact]
    public void Blocks_are_shared_after_a_fork_and_copied_when_written_into()
    {
        using DisposeScope scope = NewDisposeScope();
        using PagedCache cache = new(Layout, 1, ScalarType.Float32, CPU);
        cache.Append(randn(1, 2, 40, 3), randn(1, 1, 40, 5));
        Assert.Equal(3, cache.BlocksInUse);
        cache.Reorder(tensor((long[])[0, 0, 0]));
        Assert.Equal(3, cache.BlocksInUse);

        // Three sequences write into the half-filled third block: one keeps it, two copy it.
        Tensor next = randn(3, 2, 1, 3);
        (Tensor before, _, _) = cache.Append(next, randn(3, 1, 1, 5));
        Assert.Equal(5, cache.BlocksInUse);
        for (int sequence = 0; sequence < 3; sequence++)
        {
            TensorAssert.Same(before.select(0, 0).narrow(1, 0, 40), before.select(0, sequence).narrow(1, 0, 40));
            TensorAssert.Same(next.select(0, sequence), before.select(0, sequence).narrow(1, 40, 1));
        }

        // The others end: their own blocks are free again, the shared ones stay.
        cache.Reorder(tensor((long[])[2]));
        Assert.Equal(3, cache.BlocksInUse);
        (Tensor after, _, PositionSpan span) = cache.Append(zeros(1, 2, 30, 3), zeros(1, 1, 30, 5));
        Assert.Equal(new(0, 71), span);
        TensorAssert.Same(before.narrow(0, 2, 1), after.narrow(2, 0, 41));
        // The two freed blocks have been taken again before the pool grew.
        Assert.Equal(5, cache.BlocksInUse);
    }

    [Fact]
    public void Memory_grows_with_the_text_not_with_what_there_might_be()
    {
        using DisposeScope scope = NewDisposeScope();
        using PagedCache cache = new(Layout, 4, ScalarType.Float32, CPU);
        Assert.Equal(0, cache.Bytes);
        cache.Append(zeros(4, 2, 16, 3), zeros(4, 1, 16, 5));
        Assert.Equal(4 * 16 * Layout.NumbersPerToken * 4, cache.Bytes);
    }
}
