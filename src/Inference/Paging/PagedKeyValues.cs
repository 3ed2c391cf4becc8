// Shapes: G key-value heads, D head dimension.
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Inference.Paging;

/// <summary>What a layer remembers of each position: keys and values (G, D), of all positions or of a window.</summary>
internal readonly record struct LayerShape(int Groups, int HeadDim, KeyWindow? Window);

/// <summary>The keys and values of sequences in all layers of a model, in blocks that sequences share.</summary>
/// <remarks>The system gives memory when it is first written to. Not thread-safe.</remarks>
internal sealed unsafe class PagedKeyValues : IDisposable
{
    private readonly List<Tensor> owned = [];
    private readonly List<KeyWindow?> windows = []; // distinct ones; layers of the same window share tables
    private readonly List<BlockAllocator> allocators = []; // of each window
    private readonly PagedLayer[] layers;

    /// <param name="shapes">Those of the layers.</param>
    /// <param name="sequences">The most sequences.</param>
    /// <param name="capacity">The most positions of a sequence.</param>
    /// <param name="rows">The most positions of a sequence that are written at a time.</param>
    /// <param name="positions">Positions of layers without a window that there is room for, by default for full sequences; never fewer than
    /// one sequence has.</param>
    public PagedKeyValues(IReadOnlyList<LayerShape> shapes, int sequences, int capacity, int rows, int? positions = null)
    {
        foreach (KeyWindow? window in shapes.Select(shape => shape.Window).Distinct())
        {
            int each = BlockAllocator.Most(window, capacity, rows);
            int blocks = window is null && positions is { } wanted
                ? Math.Max(BlockAllocator.Count(wanted), each)
                : checked(sequences * each);
            windows.Add(window);
            allocators.Add(new(blocks, window));
        }
        layers = [.. shapes.Select(shape =>
        {
            int kind = windows.IndexOf(shape.Window);
            long slots = (long)allocators[kind].Blocks * BlockAllocator.BlockLength, numbers = shape.Groups * slots * shape.HeadDim;
            return new PagedLayer(shape, kind, slots, Numbers(numbers), Numbers(numbers));
        })];
    }

    /// <summary>How many kinds of layers there are: those of a window, or of none.</summary>
    public int Kinds => allocators.Count;

    /// <summary>Whether some layers see a window only.</summary>
    public bool Forgets => windows.Exists(window => window is not null);

    /// <summary>Free blocks of the layers that forget nothing.</summary>
    public int FreeBlocks => windows.IndexOf(null) is >= 0 and var kind ? allocators[kind].Free : int.MaxValue;

    /// <summary>The part of the blocks that is taken, where it is largest.</summary>
    public double Use => allocators.Max(allocator => 1 - (double)allocator.Free / allocator.Blocks);

    /// <summary>Whether releasing a sequence frees a block.</summary>
    public bool IsAlone(PagedSequence sequence) => Enumerable.Range(0, Kinds).Any(kind => allocators[kind].IsAlone(sequence.Tables[kind]));

    public BlockAllocator Allocator(int kind) => allocators[kind];

    public PagedLayer Layer(int index) => layers[index];

    public PagedSequence NewSequence() => new([.. allocators.Select(_ => new BlockTable())]);

    /// <summary>A sequence that shares what another one remembers, and goes on by itself.</summary>
    public PagedSequence Fork(PagedSequence sequence) =>
        new([.. allocators.Select((allocator, kind) => allocator.Fork(sequence.Tables[kind], sequence.Length))])
        {
            Length = sequence.Length,
        };

    public void Release(PagedSequence sequence)
    {
        for (int kind = 0; kind < allocators.Count; kind++) allocators[kind].Release(sequence.Tables[kind]);
        sequence.Length = 0;
    }

    /// <summary>Makes room for positions up to <paramref name="length"/> and forgets what position <paramref name="from"/> and later ones
    /// do not see. False where there is no room.</summary>
    public bool TryReserve(PagedSequence sequence, int length, int from) =>
        Enumerable.Range(0, Kinds).All(kind => TryReserve(kind, sequence, length, from));

    /// <summary>Makes room in the layers that forget nothing.</summary>
    public bool TryReserve(PagedSequence sequence, int length) =>
        Enumerable.Range(0, Kinds).Where(kind => windows[kind] is null).All(kind => TryReserve(kind, sequence, length, from: 0));

    public void Dispose()
    {
        foreach (Tensor tensor in owned) tensor.Dispose();
        owned.Clear();
    }

    private bool TryReserve(int kind, PagedSequence sequence, int length, int from) =>
        allocators[kind].TryAdvance(sequence.Tables[kind], length, from, (source, target) =>
        {
            foreach (PagedLayer layer in layers)
                if (layer.Kind == kind) layer.CopyBlock(source, target);
        });

    private float* Numbers(long count)
    {
        Tensor tensor = Constants.Own(() => empty(count, dtype: ScalarType.Float32));
        owned.Add(tensor);
        return (float*)tensor.DataPointer;
    }
}

/// <summary>Where a sequence's positions are, in each kind of layer.</summary>
internal sealed class PagedSequence(BlockTable[] tables)
{
    public IReadOnlyList<BlockTable> Tables => tables;

    /// <summary>Positions that were written.</summary>
    public int Length { get; set; }
}

/// <summary>The memory of a layer: keys and values, (G, slots, D) each.</summary>
internal sealed unsafe class PagedLayer(LayerShape shape, int kind, long slots, float* keys, float* values)
{
    public LayerShape Shape => shape;

    /// <summary>The layer's index among the kinds of layers.</summary>
    public int Kind => kind;

    public float* Keys(int group) => keys + group * slots * shape.HeadDim;

    public float* Values(int group) => values + group * slots * shape.HeadDim;

    public void Store(int slot, int group, float* key, float* value)
    {
        new ReadOnlySpan<float>(key, shape.HeadDim).CopyTo(new(Keys(group) + (long)slot * shape.HeadDim, shape.HeadDim));
        new ReadOnlySpan<float>(value, shape.HeadDim).CopyTo(new(Values(group) + (long)slot * shape.HeadDim, shape.HeadDim));
    }

    public void Load(int slot, int group, float* key, float* value)
    {
        new ReadOnlySpan<float>(Keys(group) + (long)slot * shape.HeadDim, shape.HeadDim).CopyTo(new(key, shape.HeadDim));
        new ReadOnlySpan<float>(Values(group) + (long)slot * shape.HeadDim, shape.HeadDim).CopyTo(new(value, shape.HeadDim));
    }

    public void CopyBlock(int from, int to)
    {
        int numbers = BlockAllocator.BlockLength * shape.HeadDim;
        for (int group = 0; group < shape.Groups; group++)
        {
            new Span<float>(Keys(group) + (long)from * numbers, numbers).CopyTo(new(Keys(group) + (long)to * numbers, numbers));
            new Span<float>(Values(group) + (long)from * numbers, numbers).CopyTo(new(Values(group) + (long)to * numbers, numbers));
        }
    }
}
