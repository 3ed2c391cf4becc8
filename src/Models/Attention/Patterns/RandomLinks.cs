using System.Collections.Concurrent;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>For each block of a sequence a few earlier ones, drawn without repetition from those it does not see anyway.</summary>
/// <param name="count">How many to draw; a block with fewer to draw from takes them all.</param>
/// <param name="globalBlocks">The first blocks, which are not drawn.</param>
/// <param name="windowBlocks">The blocks up to itself, which are not drawn.</param>
/// <param name="seed">Decides, with the block's own number, what it draws: nothing else does.</param>
internal sealed class RandomLinks(int count, int globalBlocks, int windowBlocks, int seed)
{
    private readonly ConcurrentDictionary<int, int[]> drawn = [];
    private readonly Dictionary<int, List<int>> drawers = [];
    private int examined;

    /// <summary>What a block has drawn.</summary>
    public IReadOnlyCollection<int> Of(int block) => drawn.GetOrAdd(block, Draw);

    /// <summary>The blocks up to <paramref name="last"/> that have drawn a block.</summary>
    public IReadOnlyList<int> DrawersOf(int block, int last)
    {
        lock (drawers)
        {
            for (; examined <= last; examined++)
            {
                foreach (int other in Of(examined))
                {
                    if (!drawers.TryGetValue(other, out List<int>? list)) drawers[other] = list = [];
                    list.Add(examined);
                }
            }
            return drawers.TryGetValue(block, out List<int>? known) ? [.. known.TakeWhile(drawer => drawer <= last)] : [];
        }
    }

    /// <summary>The draws of all blocks up to the greatest of <paramref name="blocks"/>: int64 (blocks, count), −1 where there are fewer.</summary>
    public Tensor Table(Tensor blocks)
    {
        int rows = (int)blocks.max().item<long>() + 1;
        long[] table = new long[rows * count];
        Array.Fill(table, -1);
        for (int row = 0; row < rows; row++)
        {
            int column = 0;
            foreach (int block in Of(row)) table[row * count + column++] = block;
        }
        return tensor(table).view(rows, count);
    }

    // Floyd's algorithm: each set of the wanted size is equally likely.
    private int[] Draw(int block)
    {
        int candidates = Math.Max(0, block - windowBlocks + 1 - globalBlocks);
        if (candidates <= count) return [.. Enumerable.Range(globalBlocks, candidates)];
        ulong state = ((ulong)(uint)seed << 32) | (uint)block;
        HashSet<int> picked = [];
        for (int last = candidates - count; last < candidates; last++)
        {
            int pick = (int)(Next(ref state) % (ulong)(last + 1));
            picked.Add(picked.Contains(pick) ? last : pick);
        }
        return [.. picked.Order().Select(pick => pick + globalBlocks)];
    }

    // SplitMix64 (Steele et al. 2014): the same numbers on every platform and in every version.
    private static ulong Next(ref ulong state)
    {
        ulong z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
