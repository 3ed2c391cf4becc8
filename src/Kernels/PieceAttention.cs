// Shapes: R positions that follow one another (a piece of a prompt), S positions up to the last of them, D head dimension.
using static Trainer.Kernels.PanelProduct;

namespace Trainer.Kernels;

/// <summary>Causal attention of a piece of a prompt to a cache, softmax(QKᵀ)V, for one query head: products with keys and values that were
/// packed in panels (<see cref="Pack"/>).</summary>
/// <remarks>A position has the same bits whatever the length of the piece and the number of threads.</remarks>
internal unsafe struct PieceAttention : ILoop
{
    /// <summary>Positions whose scores are kept at a time.</summary>
    public const int RowsAtOnce = 32;

    public required float* Queries; // (R, D), already scaled
    public required float* Keys, Values; // panels
    public required float* Result; // (R, D)
    public required long QueryStride, ResultStride; // from one position to the next
    public required long First; // positions before the piece
    public required long Count; // S
    public required long Width;
    public float SoftCap; // bounds scores s to cap·tanh(s / cap), before the distance term; 0 for no bound
    public float* Distances; // of each position of the piece, (R, S), or null
    public long DistanceStride;
    public float Slope; // what is subtracted from scores per unit of distance

    /// <summary>Numbers of packed keys.</summary>
    public static long KeyNumbers(long count, long width) => Numbers(count, width);

    /// <summary>Numbers of packed values.</summary>
    public static long ValueNumbers(long count, long width) => Numbers(width, count);

    /// <summary>Packs S keys and values, (slots, D), as matrices (S, D) and (D, S).</summary>
    public static void Pack(
        float* keys, float* values, ReadOnlySpan<SlotRun> runs, long count, long width, float* keyPanels, float* valuePanels)
    {
        using Scratch scratch = new(count * width, 1);
        float* rows = scratch.Take(count * width);
        long done = 0;
        foreach (SlotRun run in runs)
        {
            long numbers = run.Count * width;
            Buffer.MemoryCopy(keys + run.First * width, rows + done * width, sizeof(float) * numbers, sizeof(float) * numbers);
            for (long column = 0; column < width; column += PanelProduct.Width)
            {
                int columns = (int)Math.Min(PanelProduct.Width, width - column);
                float* from = values + run.First * width + column, to = valuePanels + column * count + done * PanelProduct.Width;
                for (long i = 0; i < run.Count; i++)
                    new ReadOnlySpan<float>(from + i * width, columns).CopyTo(new(to + i * PanelProduct.Width, columns));
            }
            done += run.Count;
        }
        PanelProduct.Pack(rows, count, width, keyPanels);
    }

    /// <summary>Computes the positions [begin, end) of the piece, at most <see cref="RowsAtOnce"/>.</summary>
    public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
    {
        long rows = end - begin, visible = First + end;
        using Scratch scratch = new(rows * visible + rows, 2);
        float* scores = scratch.Take(rows * visible), factors = scratch.Take(rows);
        PanelLoop product = new()
        {
            X = Queries + begin * QueryStride, XStride = QueryStride, Rows = rows, RowsAtOnce = rows,
            Panels = Keys, PanelNumbers = PanelProduct.Width * Width, Depth = Width,
            Y = scores, YStride = visible, Columns = visible,
        };
        product.Run<T>(0, product.Units); // (R, D) → (R, S)
        for (long row = 0; row < rows; row++)
        {
            long seen = First + begin + row + 1;
            float* weights = scores + row * visible;
            float* distances = Distances is null ? null : Distances + (begin + row) * DistanceStride;
            factors[row] = 1 / CachedAttention.Weigh<T>(weights, seen, SoftCap, distances, Slope);
            new Span<float>(weights + seen, (int)(visible - seen)).Clear(); // of later positions
        }
        product = new()
        {
            X = scores, XStride = visible, Rows = rows, RowsAtOnce = rows,
            Panels = Values, PanelNumbers = PanelProduct.Width * Count, Depth = visible,
            Y = Result + begin * ResultStride, YStride = ResultStride, Columns = Width,
        };
        product.Run<T>(0, product.Units); // (R, S) → (R, D)
        for (long row = 0; row < rows; row++)
        {
            float* result = Result + (begin + row) * ResultStride;
            for (long i = 0; i < Width; i++) result[i] *= factors[row];
        }
    }
}
