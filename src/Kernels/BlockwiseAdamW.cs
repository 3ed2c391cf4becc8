// Shapes: N numbers of a parameter, in K = ⌈N/256⌉ blocks.
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>A parameter's moments in blocks of 256 numbers of 8 bits, each with the largest number of its block.</summary>
/// <param name="Average">Codes of the running mean of gradients, uint8, in the parameter's shape.</param>
/// <param name="AverageScale">(K), float32.</param>
/// <param name="AverageSquare">Codes of the running mean of squares, uint8, in the parameter's shape.</param>
/// <param name="AverageSquareScale">(K), float32.</param>
/// <param name="Steps">Steps taken, a float32 scalar.</param>
public sealed record BlockwiseMoments(
    Tensor Average, Tensor AverageScale, Tensor AverageSquare, Tensor AverageSquareScale, Tensor Steps)
{
    /// <summary>Moments of 0 for a parameter; the caller disposes them.</summary>
    public static BlockwiseMoments Zero(Tensor parameter)
    {
        using DisposeScope scope = NewDisposeScope();
        Device device = parameter.device;
        long[] blocks = [(parameter.numel() + BlockwiseAdamW.BlockLength - 1) / BlockwiseAdamW.BlockLength];
        Tensor Codes(DynamicCode code) => full(parameter.shape, code.Zero, ScalarType.Byte, device).DetachFromDisposeScope();
        Tensor Numbers(long[] shape) => zeros(shape, ScalarType.Float32, device).DetachFromDisposeScope();
        return new(Codes(DynamicCode.Signed), Numbers(blocks), Codes(DynamicCode.Unsigned), Numbers(blocks), Numbers([]));
    }
}

/// <summary>AdamW whose moments are kept in 8 bits and computed with in float32 (Dettmers et al. 2022, arXiv 2110.02861).</summary>
public static unsafe class BlockwiseAdamW
{
    /// <summary>Numbers that share a scale.</summary>
    public const int BlockLength = 256;

    private const long Grain = 64; // blocks

    /// <summary>Updates a contiguous float32 parameter and its moments in place and counts the step. Weight decay is decoupled: weights
    /// shrink by learningRate × weightDecay.</summary>
    public static void Step(Tensor parameter, Tensor gradient, BlockwiseMoments moments,
        double learningRate, double beta1, double beta2, double weightDecay, double epsilon)
    {
        if (parameter.device_type != DeviceType.CPU || !Lanes.IsSupported)
        {
            Composed(parameter, gradient, moments, learningRate, beta1, beta2, weightDecay, epsilon);
            return;
        }
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        double step = moments.Steps.add_(1).item<float>();
        Tensor direction = gradient.contiguous();
        StepLoop loop = new()
        {
            Parameter = (float*)parameter.DataPointer, Gradient = (float*)direction.DataPointer, Count = parameter.numel(),
            Average = moments.Average.DataPointer, AverageScale = (float*)moments.AverageScale.DataPointer,
            Square = moments.AverageSquare.DataPointer, SquareScale = (float*)moments.AverageSquareScale.DataPointer,
            Beta1 = (float)beta1, Fresh1 = (float)(1 - beta1), Beta2 = (float)beta2, Fresh2 = (float)(1 - beta2),
            Remains = (float)(1 - learningRate * weightDecay), StepSize = (float)(learningRate / (1 - Math.Pow(beta1, step))),
            Correction = (float)(1 / Math.Sqrt(1 - Math.Pow(beta2, step))), Epsilon = (float)epsilon,
        };
        ParallelFor.Run(moments.AverageScale.numel(), Grain, loop);
        parameter.copy_(parameter); // writes nothing, but makes a new version, which ComputeWeight goes by
    }

    /// <summary>The same by libtorch's operators; its scalars stay on the device.</summary>
    internal static void Composed(Tensor parameter, Tensor gradient, BlockwiseMoments moments,
        double learningRate, double beta1, double beta2, double weightDecay, double epsilon)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor step = moments.Steps.add_(1).to(ScalarType.Float64);
        Tensor g = gradient.to(ScalarType.Float32);
        Tensor average = Decoded(moments.Average, moments.AverageScale, DynamicCode.Signed).mul_(beta1).add_(g, alpha: 1 - beta1);
        Tensor square = Decoded(moments.AverageSquare, moments.AverageSquareScale, DynamicCode.Unsigned)
            .mul_(beta2).addcmul_(g, g, 1 - beta2);

        Tensor size = Correction(beta1, step).reciprocal_().mul_(learningRate).to(ScalarType.Float32);
        Tensor root = Correction(beta2, step).sqrt_().to(ScalarType.Float32);
        parameter.mul_(1 - learningRate * weightDecay).sub_(average.div(square.sqrt().div_(root).add_(epsilon)).mul_(size));
        Encode(average, moments.Average, moments.AverageScale, DynamicCode.Signed);
        Encode(square, moments.AverageSquare, moments.AverageSquareScale, DynamicCode.Unsigned);
    }

    /// <summary>The numbers that codes stand for, in the codes' shape, float32.</summary>
    internal static Tensor Decoded(Tensor codes, Tensor scales, DynamicCode code)
    {
        Tensor numbers = Blocks(code.Decode(codes), scales).mul(scales.unsqueeze(1)); // (K, 256)
        return numbers.view(-1).narrow(0, 0, codes.numel()).view(codes.shape).clone();
    }

    private static void Encode(Tensor numbers, Tensor codes, Tensor scales, DynamicCode code)
    {
        Tensor blocks = Blocks(numbers, scales);
        scales.copy_(blocks.abs().amax([1]));
        Tensor relative = blocks.div(scales.unsqueeze(1)).nan_to_num(0); // blocks of 0 stay 0
        codes.copy_(code.Encode(relative).view(-1).narrow(0, 0, codes.numel()).view(codes.shape));
    }

    private static Tensor Blocks(Tensor numbers, Tensor scales) => // (…) → (K, 256), with zeros behind the last
        nn.functional.pad(numbers.reshape(-1), [0, scales.numel() * BlockLength - numbers.numel()]).view(-1, BlockLength);

    private static Tensor Correction(double beta, Tensor step) => // 1 − βᵗ
        full([], beta, ScalarType.Float64, step.device).pow(step).neg_().add_(1);

    private struct StepLoop : ILoop
    {
        public float* Parameter, Gradient, AverageScale, SquareScale;
        public byte* Average, Square;
        public long Count;
        public float Beta1, Fresh1, Beta2, Fresh2, Remains, StepSize, Correction, Epsilon;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            float* average = stackalloc float[BlockLength], square = stackalloc float[BlockLength];
            for (long block = begin; block < end; block++)
            {
                long first = block * BlockLength;
                int count = (int)Math.Min(BlockLength, Count - first);
                Decode(average, Average + first, count, DynamicCode.Signed, AverageScale[block]);
                Decode(square, Square + first, count, DynamicCode.Unsigned, SquareScale[block]);
                int whole = count - count % T.Count;
                Move<T>(average, square, first, 0, whole);
                Move<Lanes1>(average, square, first, whole, count);
                AverageScale[block] = Relative<T>(average, count);
                Encode(average, Average + first, count, DynamicCode.Signed);
                SquareScale[block] = Relative<T>(square, count);
                Encode(square, Square + first, count, DynamicCode.Unsigned);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void Move<T>(float* average, float* square, long first, int begin, int end) where T : unmanaged, ILanes<T>
        {
            T beta1 = T.Broadcast(Beta1), fresh1 = T.Broadcast(Fresh1), beta2 = T.Broadcast(Beta2), fresh2 = T.Broadcast(Fresh2);
            T remains = T.Broadcast(Remains), size = T.Broadcast(StepSize), correction = T.Broadcast(Correction);
            T epsilon = T.Broadcast(Epsilon);
            for (int i = begin; i < end; i += T.Count)
            {
                T g = T.Load(Gradient + first + i);
                T m = T.MultiplyAdd(T.Load(average + i), beta1, g * fresh1);
                T v = T.MultiplyAdd(T.Load(square + i), beta2, g * g * fresh2);
                T.Store(m, average + i);
                T.Store(v, square + i);
                T update = m / T.MultiplyAdd(T.Sqrt(v), correction, epsilon) * size;
                T.Store(T.Load(Parameter + first + i) * remains - update, Parameter + first + i);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private static void Decode(float* numbers, byte* codes, int count, DynamicCode code, float scale)
        {
            fixed (float* values = code.Values)
                for (int i = 0; i < count; i++) numbers[i] = values[codes[i]] * scale;
        }

        /// <summary>Divides numbers by the largest of them, without sign, and returns that; zeros stay.</summary>
        [MethodImpl(Lanes.Loop)]
        private static float Relative<T>(float* numbers, int count) where T : unmanaged, ILanes<T>
        {
            int whole = count - count % T.Count;
            T most = T.Broadcast(0);
            for (int i = 0; i < whole; i += T.Count) most = T.MaxNative(most, T.Abs(T.Load(numbers + i)));
            float largest = T.Max(most);
            for (int i = whole; i < count; i++) largest = MathF.Max(largest, MathF.Abs(numbers[i]));
            if (largest == 0) return 0;

            T divisor = T.Broadcast(largest);
            for (int i = 0; i < whole; i += T.Count) T.Store(T.Load(numbers + i) / divisor, numbers + i);
            for (int i = whole; i < count; i++) numbers[i] /= largest;
            return largest;
        }

        [MethodImpl(Lanes.Loop)]
        private static void Encode(float* numbers, byte* codes, int count, DynamicCode code)
        {
            fixed (float* midpoints = code.Midpoints)
            fixed (byte* first = code.First)
                for (int i = 0; i < count; i++)
                {
                    int at = first[BitConverter.SingleToUInt32Bits(numbers[i]) >> 16];
                    bool above = numbers[i] > midpoints[at];
                    codes[i] = (byte)(at + *(byte*)&above); // without a branch, which would be taken at random
                }
        }
    }
}
