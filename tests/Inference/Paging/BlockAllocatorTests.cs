using Trainer.Inference.Paging;
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Inference.Tests.Paging;

public sealed class BlockAllocatorTests
{
    private const int Length = BlockAllocator.BlockLength;

    public static TheoryData<int?, int, int> Windows() =>
    [
        .. from seed in Enumerable.Range(0, 5)
           from window in ((int?, int)[])[(null, 0), (1, 0), (5, 3), (16, 0), (17, 20), (50, 16)]
           select ((int?)window.Item1, window.Item2, seed),
    ];

    // Sequences that grow, branch off and end at random, in a memory of what was written where.
    [Theory]
    [MemberData(nameof(Windows))]
    public void Every_sequence_sees_what_it_wrote_and_all_blocks_come_back(int? window, int sinks, int seed)
    {
        const int Capacity = 200, Most = 4, Rows = 8;
        Random random = new(seed);
        KeyWindow? seen = window is { } w ? new(w, sinks) : null;
        int each = BlockAllocator.Most(seen, Capacity, Rows);
        BlockAllocator allocator = new(Most * each, seen);
        var memory = new string[allocator.Blocks * Length];
        List<(BlockTable Table, List<string> Written)> sequences = [];
        var runs = new SlotRun[Capacity];
        for (int step = 0, next = 0; step < 400; step++)
        {
            int chosen = random.Next(Most + 1);
            if (chosen >= sequences.Count)
            {
                if (sequences.Count == Most) continue;
                if (chosen == 0 || sequences.Count == 0) sequences.Add((new(), []));
                else
                {
                    (BlockTable from, List<string> told) = sequences[random.Next(sequences.Count)];
                    sequences.Add((allocator.Fork(from, from.Length), [.. told]));
                }
                continue;
            }
            (BlockTable table, List<string> written) = sequences[chosen];
            if (random.Next(20) == 0)
            {
                allocator.Release(table);
                sequences.RemoveAt(chosen);
                continue;
            }
            int first = table.Length, count = Math.Min(random.Next(1, Rows + 1), Capacity - first);
            Assert.True(allocator.TryAdvance(table, first + count, first, Copy));
            for (int i = 0; i < count; i++)
            {
                written.Add($"{next++}");
                memory[table.Slot(first + i)] = written[^1];
            }
            for (int i = 0; i < count; i++)
            {
                int position = first + i, begin = seen is { } kept ? Math.Max(0, position - kept.Window + 1) : 0;
                IEnumerable<int> visible = Enumerable.Range(0, position + 1).Where(p => p >= begin || p < sinks);
                Assert.Equal(visible.Select(p => written[p]), Read(runs[..allocator.Runs(table, position, runs)]));
            }
        }
        foreach ((BlockTable table, _) in sequences) allocator.Release(table);
        Assert.Equal(allocator.Blocks, allocator.Free);

        void Copy(int from, int to) => memory.AsSpan(from * Length, Length).CopyTo(memory.AsSpan(to * Length));

        IEnumerable<string> Read(SlotRun[] runs) => runs.SelectMany(run => memory.Skip((int)run.First).Take((int)run.Count));
    }

    [Fact]
    public void What_does_not_fit_takes_nothing()
    {
        BlockAllocator allocator = new(3, window: null);
        BlockTable one = new(), other = new();
        Assert.True(allocator.TryAdvance(one, 20, 0, Fail));
        Assert.False(allocator.TryAdvance(other, 17, 0, Fail));
        Assert.Equal((1, 0), (allocator.Free, other.Length));
        Assert.True(allocator.TryAdvance(other, 16, 0, Fail));
        allocator.Release(one);
        Assert.True(allocator.TryAdvance(other, 48, 16, Fail));
        Assert.Equal(0, allocator.Free);
    }

    [Fact]
    public void A_shared_block_is_copied_once_and_only_by_who_writes_to_it()
    {
        BlockAllocator allocator = new(4, window: null);
        BlockTable one = new();
        Assert.True(allocator.TryAdvance(one, 20, 0, Fail));
        BlockTable other = allocator.Fork(one, 20);
        List<(int, int)> copies = [];
        Assert.True(allocator.TryAdvance(other, 21, 20, (from, to) => copies.Add((from, to))));
        Assert.True(allocator.TryAdvance(one, 21, 20, Fail));
        Assert.Equal([(one.Blocks[1], other.Blocks[1])], copies);
        Assert.Equal(one.Blocks[0], other.Blocks[0]);
        Assert.Equal(1, allocator.Free);
    }

    [Fact]
    public void Blocks_that_follow_one_another_are_one_run()
    {
        BlockAllocator allocator = new(4, window: null);
        BlockTable table = new();
        Assert.True(allocator.TryAdvance(table, 60, 0, Fail));
        var runs = new SlotRun[4];
        Assert.Equal(1, allocator.Runs(table, 58, runs));
        Assert.Equal(new(0, 59), runs[0]);
    }

    private static void Fail(int from, int to) => Assert.Fail("nothing is shared");
}
