// Shapes: T positions, H heads, D head dimension, C model dimension, F hidden dimension.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels.Benchmarks;

/// <summary>Kernels of decoding, which have no backward pass: one token, a whole context before it.</summary>
internal static unsafe class DecodingCases
{
    public static (string Name, Func<ModelSize, Pair> Make)[] All { get; } =
    [
        ("matrix by vector, float32", size => MatrixByVector(size, ScalarType.Float32)),
        ("matrix by vector, bfloat16", size => MatrixByVector(size, ScalarType.BFloat16)),
        ("attention to a cache", ToCache),
    ];

    private static Pair MatrixByVector(ModelSize size, ScalarType type)
    {
        Tensor weight = randn(size.Hidden, size.Dim).to(type), x = randn(1, size.Dim), rounded = x.to(type), y = empty(1, size.Hidden);
        Tensor read = rounded.to(ScalarType.Float32); // what the kernel wants: rounded, as float32
        VectorMatrix matrix = new((nint)weight.DataPointer, type, size.Hidden, size.Dim, Bias: 0);
        return Pair.Of(
            () => MatrixVectorProduct.Multiply(matrix, (float*)read.DataPointer, (float*)y.DataPointer, batch: 1),
            () => nn.functional.linear(rounded, weight).Dispose());
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
}
