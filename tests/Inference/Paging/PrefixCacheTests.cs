using Trainer.Inference.Paging;

namespace Trainer.Inference.Tests.Paging;

public sealed class PrefixCacheTests : IDisposable
{
    private const int Piece = 2 * BlockAllocator.BlockLength;

    private readonly PagedKeyValues memory = new(
        [new LayerShape(Groups: 1, HeadDim: 4, Window: null)], sequences: 3, capacity: 2 * Piece, rows: Piece);

    private readonly PrefixCache prefixes;

    public PrefixCacheTests() => prefixes = new(memory, Piece);

    public void Dispose() => memory.Dispose();

    [Fact]
    public void What_running_sequences_share_is_not_forgotten_and_what_frees_memory_is()
    {
        int free = memory.FreeBlocks;
        int[] older = Prompt(0), newer = Prompt(1);
        PagedSequence running = Read(older), ended = Read(newer);
        memory.Release(ended);

        Assert.True(prefixes.Forget());
        Assert.Equal((true, false), (IsKnown(older), IsKnown(newer)));
        Assert.False(prefixes.Forget());
        Assert.True(IsKnown(older));

        memory.Release(running);
        Assert.True(prefixes.Forget());
        Assert.False(IsKnown(older));
        Assert.False(prefixes.Forget());
        Assert.Equal(free, memory.FreeBlocks);
    }

    private static int[] Prompt(int first) => [.. Enumerable.Range(first, Piece + 1)];

    private PagedSequence Read(int[] prompt)
    {
        PagedSequence sequence = memory.NewSequence();
        Assert.True(memory.TryReserve(sequence, Piece));
        sequence.Length = Piece;
        prefixes.Add(prompt, sequence);
        return sequence;
    }

    private bool IsKnown(int[] prompt)
    {
        if (prefixes.Find(prompt) is not { } found) return false;
        memory.Release(found);
        return true;
    }
}
