using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Sums over the rows of a matrix, as for gradients of biases, in groups of rows that do not depend on the number of threads: the
/// same bits with any.</summary>
internal static unsafe class ColumnSums
{
    private const long MostGroups = 64, FewestRows = 16, Grain = 16384;

    /// <summary>How many groups rows are cut into; group g of G holds rows [g·N/G, (g + 1)·N/G).</summary>
    public static long Groups(long rows) => Math.Clamp(rows / FewestRows, 1, MostGroups);

    /// <summary>(N, C), float32 or bfloat16, on the CPU → (C), float32.</summary>
    public static Tensor Of(Tensor matrix)
    {
        using Tensor x = matrix.contiguous();
        long rows = x.size(0), width = x.size(1), groups = Groups(rows);
        using Tensor sums = empty([groups, width], ScalarType.Float32);
        SumLoop loop = new()
        {
            Source = x.DataPointer, Target = (float*)sums.DataPointer,
            Rows = rows, Width = width, Groups = groups, Rounded = x.dtype == ScalarType.BFloat16,
        };
        ParallelFor.Run(groups, Math.Max(1, Grain * groups / Math.Max(1, rows * width)), loop);
        return OfGroups(sums);
    }

    /// <summary>(G, C), float32 → (C), groups in order.</summary>
    public static Tensor OfGroups(Tensor groups)
    {
        Tensor total = empty([groups.size(1)], ScalarType.Float32);
        TotalLoop loop = new()
        {
            Source = (float*)groups.DataPointer, Target = (float*)total.DataPointer, Rows = groups.size(0), Width = groups.size(1),
        };
        ParallelFor.Run(loop.Width, Math.Max(1, Grain / loop.Rows), loop);
        return total;
    }

    private struct SumLoop : ILoop
    {
        public byte* Source;
        public float* Target;
        public long Rows, Width, Groups;
        public bool Rounded;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = Width - Width % T.Count;
            for (long group = begin; group < end; group++)
            {
                float* sums = Target + group * Width;
                new Span<float>(sums, checked((int)Width)).Clear();
                for (long row = group * Rows / Groups; row < (group + 1) * Rows / Groups; row++)
                {
                    if (Rounded)
                    {
                        Add<T, StoredBFloat16>(sums, row * Width, 0, whole);
                        Add<Lanes1, StoredBFloat16>(sums, row * Width, whole, Width);
                    }
                    else
                    {
                        Add<T, StoredFloat32>(sums, row * Width, 0, whole);
                        Add<Lanes1, StoredFloat32>(sums, row * Width, whole, Width);
                    }
                }
            }
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void Add<T, TStored>(float* sums, long first, long begin, long end)
            where T : unmanaged, ILanes<T> where TStored : IStored
        {
            byte* source = Source;
            for (long i = begin; i < end; i += T.Count) T.Store(T.Load(sums + i) + TStored.Load<T>(source, first + i), sums + i);
        }
    }

    private struct TotalLoop : ILoop
    {
        public float* Source, Target;
        public long Rows, Width;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = end - (end - begin) % T.Count;
            Total<T>(begin, whole);
            Total<Lanes1>(whole, end);
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void Total<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            for (long i = begin; i < end; i += T.Count)
            {
                T sum = T.Load(Source + i);
                for (long row = 1; row < Rows; row++) sum += T.Load(Source + row * Width + i);
                T.Store(sum, Target + i);
            }
        }
    }
}
