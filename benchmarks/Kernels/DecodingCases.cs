// Shapes: T positions, H heads, D head dimension, R positions of a piece, C model dimension, F hidden dimension, V vocabulary.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels.Benchmarks;

/// <summary>Kernels of decoding, which have no backward pass: one token or a few, or a piece of a prompt, a whole context before
/// it.</summary>
internal static unsafe class DecodingCases
{
    private const double Epsilon = 1e-5;
    private const int Piece = 128;

    public static (string Name, Func<ModelSize, Pair> Make)[] All { get; } =
    [
        ("matrix by vector, float32", size => MatrixByVectors(size, ScalarType.Float32, 1)),
        ("matrix by vector, bfloat16", size => MatrixByVectors(size, ScalarType.BFloat16, 1)),
        ("matrix by vector, blocks of 8 bits", size => MatrixByVectors(size, ScalarType.Int8, 1)),
        ("matrix by 8 vectors, float32", size => MatrixByVectors(size, ScalarType.Float32, 8)),
        ("matrix by 8 vectors, bfloat16", size => MatrixByVectors(size, ScalarType.BFloat16, 8)),
        ("matrix by 8 vectors, blocks of 8 bits", size => MatrixByVectors(size, ScalarType.Int8, 8)),
        ("rounding to bfloat16 within float32", Round),
        ("packed matrix by vector", size => PackedByVectors(size, 1)),
        ("packed matrix by 8 vectors", size => PackedByVectors(size, 8)),
        ("packed matrix by 128 vectors", size => PackedByVectors(size, Piece)),
        ("attention to a cache", ToCache),
        ("attention of a piece of a prompt", OfPiece),
        ("soft cap of logits", SoftCap),
        ("layer norm of a token", size => Norm(size, centred: true)),
        ("RMS norm of a token", size => Norm(size, centred: false)),
        ("GELU of a token", Gelu),
        ("SwiGLU of a token", SwiGlu),
    ];

    private static Pair MatrixByVectors(ModelSize size, ScalarType type, int batch)
    {
        bool inBlocks = type == ScalarType.Int8;
        Tensor weight = ComputeWeight.Round(randn(size.Hidden, size.Dim), type), y = empty(batch, size.Hidden);
        Tensor x = randn(batch, size.Dim).to(inBlocks ? ScalarType.Float32 : type);
        Tensor read = x.to(ScalarType.Float32); // what the kernel wants: rounded, as float32
        VectorMatrix matrix = new((nint)weight.DataPointer, type, size.Hidden, size.Dim, Bias: 0);
        return Pair.Of(
            () => MatrixVectorProduct.Multiply(matrix, (float*)read.DataPointer, (float*)y.DataPointer, batch),
            () => nn.functional.linear(x, inBlocks ? BlockQuantization.Unpack(weight) : weight).Dispose());
    }

    private static Pair Round(ModelSize size)
    {
        Tensor x = randn(1, size.Hidden), y = empty(1, size.Hidden);
        return Pair.Of(
            () => MatrixVectorProduct.Round((float*)x.DataPointer, (float*)y.DataPointer, size.Hidden),
            () => x.to(ScalarType.BFloat16).to(ScalarType.Float32).Dispose());
    }

    private static Pair PackedByVectors(ModelSize size, int batch)
    {
        Tensor weight = randn(size.Hidden, size.Dim), x = randn(batch, size.Dim), y = empty(batch, size.Hidden);
        Tensor panels = empty([PanelProduct.Numbers(size.Hidden, size.Dim)], ScalarType.Float32);
        PanelProduct.Pack((float*)weight.DataPointer, size.Hidden, size.Dim, (float*)panels.DataPointer);
        PanelMatrix matrix = new((nint)panels.DataPointer, size.Hidden, size.Dim, Bias: 0);
        ThreadTeam team = new();
        return Pair.Of(
            () => team.Run(
                () => PanelProduct.Multiply(matrix, (float*)x.DataPointer, (float*)y.DataPointer, batch, adds: false, team), alone: false),
            () => nn.functional.linear(x, weight).Dispose());
    }

    private static Pair ToCache(ModelSize size)
    {
        long head = (long)size.Length * size.HeadDim;
        Tensor queries = randn(1, size.Heads, 1, size.HeadDim);
        Tensor keys = randn(1, size.Heads, size.Length, size.HeadDim), values = randn(1, size.Heads, size.Length, size.HeadDim);
        Tensor result = empty(1, size.Heads, 1, size.HeadDim);
        SlotRun* run = (SlotRun*)System.Runtime.InteropServices.NativeMemory.Alloc((nuint)sizeof(SlotRun)); // as long as the process
        *run = new(0, size.Length);
        return Pair.Of(
            () => ParallelFor.Run(size.Heads, 1, (begin, end) =>
            {
                for (long i = begin; i < end; i++)
                {
                    Lanes.Run(
                        new CachedAttention
                        {
                            Queries = (float*)queries.DataPointer + i * size.HeadDim, Keys = (float*)keys.DataPointer + i * head,
                            Values = (float*)values.DataPointer + i * head, Runs = run, RunCount = 1,
                            Result = (float*)result.DataPointer + i * size.HeadDim, Count = size.Length, Width = size.HeadDim,
                        },
                        0, 1);
                }
            }),
            () => queries.matmul(keys.transpose(2, 3)).softmax(-1).matmul(values).Dispose());
    }

    // The last positions of a context; keys and values are packed anew for each piece.
    private static Pair OfPiece(ModelSize size)
    {
        const int AtOnce = PieceAttention.RowsAtOnce;
        int rows = Math.Min(Piece, size.Length), before = size.Length - rows, width = size.HeadDim, parts = (rows + AtOnce - 1) / AtOnce;
        long ofKeys = PieceAttention.KeyNumbers(size.Length, width), ofValues = PieceAttention.ValueNumbers(size.Length, width);
        Tensor queries = randn(1, size.Heads, rows, width), result = empty(1, size.Heads, rows, width);
        Tensor keys = randn(1, size.Heads, size.Length, width), values = randn(1, size.Heads, size.Length, width);
        Tensor keyPanels = empty([size.Heads, ofKeys], ScalarType.Float32), valuePanels = empty([size.Heads, ofValues], ScalarType.Float32);
        Tensor later = ones(rows, size.Length).triu(before + 1).to_type(ScalarType.Bool); // (R, T)
        SlotRun[] runs = [new(0, size.Length)];
        return Pair.Of(Attend, () => queries.matmul(keys.transpose(2, 3)).masked_fill(later, double.NegativeInfinity).softmax(-1)
            .matmul(values).Dispose());

        void Attend()
        {
            ParallelFor.Run(size.Heads, 1, (begin, end) =>
            {
                for (long head = begin; head < end; head++)
                {
                    long first = head * size.Length * width;
                    PieceAttention.Pack(
                        (float*)keys.DataPointer + first, (float*)values.DataPointer + first, runs, size.Length, width,
                        (float*)keyPanels.DataPointer + head * ofKeys, (float*)valuePanels.DataPointer + head * ofValues);
                }
            });
            ParallelFor.Run(size.Heads * parts, 1, (begin, end) =>
            {
                for (long unit = begin; unit < end; unit++)
                {
                    long head = unit / parts, row = unit % parts * AtOnce;
                    PieceAttention attention = new()
                    {
                        Queries = (float*)queries.DataPointer + head * rows * width, QueryStride = width,
                        Keys = (float*)keyPanels.DataPointer + head * ofKeys, Values = (float*)valuePanels.DataPointer + head * ofValues,
                        Result = (float*)result.DataPointer + head * rows * width, ResultStride = width,
                        First = before, Count = size.Length, Width = width,
                    };
                    Lanes.Run(attention, row, Math.Min(row + AtOnce, rows));
                }
            });
        }
    }

    private static Pair SoftCap(ModelSize size)
    {
        const float Cap = 30;
        Tensor logits = randn(1, size.Vocabulary);
        return Pair.Of(
            () => CachedAttention.Bound((float*)logits.DataPointer, size.Vocabulary, Cap), // in place
            () => logits.div(Cap).tanh().mul(Cap).Dispose());
    }

    private static Pair Norm(ModelSize size, bool centred)
    {
        Tensor x = randn(1, size.Dim), weight = ones([size.Dim]), y = empty(1, size.Dim);
        return Pair.Of(
            () => Normalization.Apply(
                (float*)x.DataPointer, (float*)y.DataPointer, 1, size.Dim, (float*)weight.DataPointer, bias: null, Epsilon, centred),
            () => (centred
                ? Normalization.ComposedLayerNorm(x, weight, null, Epsilon, rounds: false)
                : Normalization.ComposedRmsNorm(x, weight, Epsilon, rounds: false)).Dispose());
    }

    private static Pair Gelu(ModelSize size)
    {
        Tensor x = randn(1, size.Hidden), y = empty(1, size.Hidden);
        return Pair.Of(
            () => Activations.Apply<GeluFunction>((float*)x.DataPointer, (float*)y.DataPointer, size.Hidden),
            () => GeluFunction.Composed(x).Dispose());
    }

    private static Pair SwiGlu(ModelSize size)
    {
        Tensor x = randn(1, 2 * size.Hidden), y = empty(1, size.Hidden);
        return Pair.Of(
            () => Activations.ApplyGated<SiluFunction>((float*)x.DataPointer, (float*)y.DataPointer, 1, size.Hidden),
            () => Activations.ComposedGated<SiluFunction>(x).Dispose());
    }
}
