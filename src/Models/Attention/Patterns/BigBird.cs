using System.Collections.Concurrent;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Each block sees a window, global first blocks and random ones (BigBird, Zaheer et al. 2020, arXiv 2007.14062).</summary>
/// <remarks>Random blocks are earlier ones, the same at any length; without <see cref="Causal"/> a link is seen from both ends.</remarks>
public sealed record BigBirdOptions : PatternOptions
{
    /// <summary>Positions in a block.</summary>
    [Description("Positions in a block.")]
    [Range(1, 65_536)]
    public int BlockSize { get; init; } = 64;

    /// <summary>Blocks each sees backwards, itself included, and without <see cref="Causal"/> forwards; the paper's window is 2.</summary>
    [Description("How many blocks each sees backwards, itself included; as many forwards where causal is false.")]
    [Range(1, 65_536)]
    public int WindowBlocks { get; init; } = 2;

    /// <summary>Global blocks, which see all and are seen by all.</summary>
    [Description("How many of the first blocks see all and are seen by all.")]
    [Range(0, 65_536)]
    public int GlobalBlocks { get; init; } = 2;

    /// <summary>Random earlier blocks that each block sees.</summary>
    [Description("How many random earlier blocks each block sees beside its neighbours and the global ones.")]
    [Range(0, 65_536)]
    public int RandomBlocks { get; init; } = 3;

    /// <summary>Seed of the random blocks.</summary>
    [Description("What the random blocks are drawn from.")]
    public int Seed { get; init; }

    /// <summary>Whether no position sees a later one, for decoders.</summary>
    [Description("Whether no position sees a later one.")]
    public bool Causal { get; init; }

    internal override bool IsCausal => Causal;

    internal override bool CountsFromBeginning => true;

    internal override string CausalAdvice => "set causal to true";

    internal override string FullAdvice => "set causal to false";

    internal override long VisibleKeys(int length) =>
        Math.Min(length, (long)BlockSize * ((Causal ? WindowBlocks : 2 * WindowBlocks - 1) + GlobalBlocks + RandomBlocks));

    internal override AttentionPattern Build() => new BigBirdPattern(this);
}

internal sealed class BigBirdPattern(BigBirdOptions options) : AttentionPattern
{
    private readonly RandomLinks links = new(options.RandomBlocks, options.GlobalBlocks, options.WindowBlocks, options.Seed);
    private readonly int size = options.BlockSize;

    public override int TileRows => size;

    public override Tensor Visible(Tensor queries, Tensor keys)
    {
        Tensor rows = Block(queries), columns = Block(keys); // (T, 1), (1, S)
        Tensor distance = rows.sub(columns); // (T, S)
        Tensor seen = distance.abs().lt(options.WindowBlocks).logical_or(columns.lt(options.GlobalBlocks))
            .logical_or(Linked(rows, columns));
        if (options.Causal) return seen.logical_and(keys.le(queries));
        return seen.logical_or(rows.lt(options.GlobalBlocks)).logical_or(Linked(columns, rows));
    }

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end)
    {
        int first = queries.Start / size, last = queries.Last / size;
        if (!options.Causal && first < options.GlobalBlocks) return [PositionRun.Until(0, end)];
        SortedSet<int> blocks = [];
        for (int row = first; row <= last; row++) blocks.UnionWith(Blocks(row, (end - 1) / size));
        return blocks.Select(block => new PositionRun(block * size, size));
    }

    private IEnumerable<int> Blocks(int row, int lastBlock)
    {
        IEnumerable<int> back = Enumerable.Range(0, Math.Min(options.GlobalBlocks, row + 1))
            .Concat(Enumerable.Range(0, options.WindowBlocks).Select(step => row - step).TakeWhile(block => block >= 0))
            .Concat(links.Of(row));
        if (options.Causal) return back;
        return back
            .Concat(Enumerable.Range(0, options.WindowBlocks).Select(step => row + step))
            .Concat(links.DrawersOf(row, lastBlock));
    }

    // Whether the row's block has drawn the column's: (T, 1), (1, S) → (T, S).
    private Tensor Linked(Tensor rows, Tensor columns)
    {
        if (options.RandomBlocks == 0) return zeros([1], ScalarType.Bool, rows.device);
        Tensor drawn = links.Table(rows).to(rows.device); // (blocks, links)
        Tensor found = zeros([1], ScalarType.Bool, rows.device);
        for (int link = 0; link < options.RandomBlocks; link++)
            found = found.logical_or(drawn.select(1, link).index_select(0, rows.reshape(-1)).view(rows.shape).eq(columns));
        return found;
    }

    private Tensor Block(Tensor positions) => positions.sub(positions.remainder(size)).div(size).to_type(ScalarType.Int64);
}

/// <summary>Random earlier blocks of each, beside global ones and window; a draw depends on the seed and the block alone.</summary>
internal sealed class RandomLinks(int count, int globalBlocks, int windowBlocks, int seed)
{
    private readonly ConcurrentDictionary<int, int[]> drawn = [];
    private readonly Dictionary<int, List<int>> drawers = [];
    private int examined;

    public IReadOnlyCollection<int> Of(int block) => drawn.GetOrAdd(block, Draw);

    /// <summary>The blocks up to <paramref name="last"/> that drew a block.</summary>
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

    /// <summary>The draws of all blocks up to the greatest of <paramref name="blocks"/>: int64 (blocks, count), −1 for none.</summary>
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

    // Floyd's algorithm: all sets of this size are equally likely.
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
