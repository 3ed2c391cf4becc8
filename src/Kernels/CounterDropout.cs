// Shapes: B sequences, H heads, T rows, W numbers of a row.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Dropout (Srivastava et al. 2014) as a function of an element's place and a key: nothing is stored for the backward pass, and
/// threads that share a batch drop what one thread would.</summary>
/// <remarks>Philox4x32-10 (Salmon et al. 2011) on the CPU; GPUs draw from the generator of the device. First is the index of these
/// sequences in their batch; Place, 32 bits, tells uses of a seed apart.</remarks>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct CounterDropout(double Probability, long Seed, long First, long Place)
{
    /// <summary>Zeroes elements of x, (B, T, W) or (B, H, T, W), and divides the others by the probability of keeping them.</summary>
    /// <exception cref="TorchException">The probability is not in [0, 1), or, on the CPU, x has other dimensions.</exception>
    public static Tensor Apply(Tensor x, CounterDropout dropout)
    {
        dropout.Check();
        if (x.device_type != DeviceType.CPU) return nn.functional.dropout(x, dropout.Probability, training: true);
        if (x.dim() is not (3 or 4))
            throw new TorchException($"counter-based dropout takes (B, T, W) or (B, H, T, W), not {x.ShapeText}");
        if (x.dtype == ScalarType.Float32) return DropoutFunction.apply(x, dropout);
        using Tensor one = ones(x.shape), factors = DropoutFunction.apply(one, dropout), cast = factors.to(x.dtype);
        return x.mul(cast);
    }

    internal void Check()
    {
        if (!(Probability is >= 0 and < 1)) throw new TorchException($"a probability of dropout is in [0, 1), and {Probability} is not");
    }

    private static unsafe Tensor Dropped(Tensor given, CounterDropout dropout)
    {
        using Tensor x = given.contiguous();
        Tensor y = empty(x.shape, ScalarType.Float32);
        long rows = x.size(-2), width = x.size(-1), heads = x.dim() == 4 ? x.size(1) : 1;
        DropoutFactors factors = new(dropout);
        float* from = (float*)x.DataPointer, to = (float*)y.DataPointer;
        ParallelFor.Run(x.size(0) * heads * rows, Math.Max(1, 16384 / Math.Max(1, width)), (begin, end) =>
        {
            for (long row = begin; row < end; row++)
            {
                long head = row / rows;
                uint list = factors.List(head / heads, heads, head % heads);
                factors.Multiply(list, (uint)(row % rows), from + row * width, to + row * width, width);
            }
        });
        return y;
    }

    private sealed class DropoutFunction : SingleTensorFunction<DropoutFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data("dropout", vars[1]);
            return Dropped((Tensor)vars[0], (CounterDropout)vars[1]);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) =>
            [Dropped(grad_output, (CounterDropout)ctx.get_data("dropout")!), null!];
    }
}

/// <summary>The source of all dropout of one batch; First is the index of the first of these sequences in it.</summary>
public readonly record struct DropoutKey(long Seed, long First = 0)
{
    /// <summary>Draws a seed from the CPU's default generator.</summary>
    public static DropoutKey Draw()
    {
        using var scope = NewDisposeScope();
        return new(randint(0, long.MaxValue, [1], ScalarType.Int64).item<long>());
    }

    /// <summary>An independent key for the same batch: of the encoder, where this is the decoder's.</summary>
    public DropoutKey Sibling => this with { Seed = Seed ^ long.MinValue };

    /// <summary>One use of the key; place tells it from others.</summary>
    public CounterDropout At(long place, double probability) => new(probability, Seed, First, place);
}

/// <summary>Factors of elements, 0 or 1 / (1 − probability): element n of a row is word n / 16 % 4 of the counter
/// (n / 64 · 16 + n % 16, row, list, place), where the list of head h of sequence b is (First + b)·H + h.</summary>
internal readonly unsafe struct DropoutFactors(CounterDropout dropout)
{
    /// <summary>Elements of a row that 16 counters decide on.</summary>
    public const int Block = 64;

    private const int Counters = 16;

    private readonly ulong low = (uint)dropout.Seed, high = (uint)((ulong)dropout.Seed >> 32), place = (uint)dropout.Place;
    private readonly uint dropped = (uint)(dropout.Probability * 4294967296.0);
    private readonly float kept = (float)(1.0 / (1.0 - dropout.Probability));
    private readonly long first = dropout.First;

    public bool Drops => dropped != 0;

    public uint List(long sequence, long heads, long head) => (uint)((first + sequence) * heads + head);

    /// <summary>y = x·factors for one row.</summary>
    [MethodImpl(Lanes.Loop)]
    public void Multiply(uint list, uint row, float* x, float* y, long width)
    {
        float* factors = stackalloc float[Block];
        for (long from = 0; from < width; from += Block)
        {
            Fill((ulong)(from / Block) * Counters, 1, row, 0, list, factors, factors + 16, factors + 32, factors + 48, Counters);
            int count = (int)Math.Min(Block, width - from), n = 0;
            for (; n <= count - 8; n += 8) (Vector256.Load(x + from + n) * Vector256.Load(factors + n)).Store(y + from + n);
            for (; n < count; n++) y[from + n] = x[from + n] * factors[n];
        }
    }

    /// <summary>Factors of 64 elements from 64·block on of some rows, transposed to (64, stride); up to 15 more rows are written.</summary>
    public void FillColumns(uint list, uint row, int rows, uint block, float* to, int stride)
    {
        for (int i = 0; i < Counters; i++)
            Fill((ulong)block * Counters + (ulong)i, 0, row, 1, list,
                to + i * stride, to + (16 + i) * stride, to + (32 + i) * stride, to + (48 + i) * stride, rows);
    }

    private void Fill(
        ulong a, ulong aStep, ulong b, ulong bStep, uint list, float* first, float* second, float* third, float* fourth, int count)
    {
        if (Lanes.Most == 16) Fill<Words8>(a, aStep, b, bStep, list, first, second, third, fourth, count);
        else Fill<Words4>(a, aStep, b, bStep, list, first, second, third, fourth, count);
    }

    // Words of 32 bits in lanes of 64, for the products; the upper halves are ignored.
    [MethodImpl(Lanes.Loop)]
    private void Fill<T>(
        ulong a, ulong aStep, ulong b, ulong bStep, uint list, float* first, float* second, float* third, float* fourth, int count)
        where T : struct, IWords<T>
    {
        T forA = T.Broadcast(0xD2511F53), forC = T.Broadcast(0xCD9E8D57);
        T toLow = T.Broadcast(0x9E3779B9), toHigh = T.Broadcast(0xBB67AE85);
        for (int i = 0; i < count; i += 2 * T.Count)
        {
            T a0 = T.Sequence(a + aStep * (ulong)i, aStep), a1 = T.Sequence(a + aStep * (ulong)(i + T.Count), aStep);
            T b0 = T.Sequence(b + bStep * (ulong)i, bStep), b1 = T.Sequence(b + bStep * (ulong)(i + T.Count), bStep);
            T c0 = T.Broadcast(list), c1 = c0, e0 = T.Broadcast(place), e1 = e0, keyLow = T.Broadcast(low), keyHigh = T.Broadcast(high);
            for (int round = 0; round < 10; round++)
            {
                T p = T.Multiply(a0, forA), q = T.Multiply(c0, forC);
                (a0, b0, c0, e0) = (T.High(q) ^ b0 ^ keyLow, q, T.High(p) ^ e0 ^ keyHigh, p);
                p = T.Multiply(a1, forA);
                q = T.Multiply(c1, forC);
                (a1, b1, c1, e1) = (T.High(q) ^ b1 ^ keyLow, q, T.High(p) ^ e1 ^ keyHigh, p);
                keyLow += toLow;
                keyHigh += toHigh;
            }
            T.Store(a0, a1, dropped, kept, first + i);
            T.Store(b0, b1, dropped, kept, second + i);
            T.Store(c0, c1, dropped, kept, third + i);
            T.Store(e0, e1, dropped, kept, fourth + i);
        }
    }

    // Words of 32 bits in vectors of 64.
    private interface IWords<T> where T : struct, IWords<T>
    {
        static abstract int Count { get; }

        static abstract T Broadcast(ulong value);

        /// <summary>first, first + step, first + 2·step, …</summary>
        static abstract T Sequence(ulong first, ulong step);

        /// <summary>64-bit products of the low halves.</summary>
        static abstract T Multiply(T a, T b);

        static abstract T High(T a);

        static abstract T operator ^(T a, T b);

        static abstract T operator +(T a, T b);

        /// <summary>kept where a word is at least bound, else 0.</summary>
        static abstract void Store(T low, T high, uint bound, float kept, float* to);
    }

    private readonly struct Words8(Vector512<ulong> value) : IWords<Words8>
    {
        private readonly Vector512<ulong> value = value;

        public static int Count => 8;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words8 Broadcast(ulong value) => new(Vector512.Create(value));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words8 Sequence(ulong first, ulong step) => new(Vector512.CreateSequence(first, step));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words8 Multiply(Words8 a, Words8 b) => new(
            Avx512F.IsSupported
                ? Avx512F.Multiply(a.value.AsUInt32(), b.value.AsUInt32())
                : (a.value & Vector512.Create((ulong)uint.MaxValue)) * (b.value & Vector512.Create((ulong)uint.MaxValue)));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words8 High(Words8 a) => new(a.value >> 32);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words8 operator ^(Words8 a, Words8 b) => new(a.value ^ b.value);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words8 operator +(Words8 a, Words8 b) => new(a.value + b.value);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Words8 low, Words8 high, uint bound, float kept, float* to)
        {
            Vector512<uint> words = Vector512.Narrow(low.value, high.value);
            (Vector512.GreaterThanOrEqual(words, Vector512.Create(bound)).AsSingle() & Vector512.Create(kept)).Store(to);
        }
    }

    private readonly struct Words4(Vector256<ulong> value) : IWords<Words4>
    {
        private readonly Vector256<ulong> value = value;

        public static int Count => 4;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words4 Broadcast(ulong value) => new(Vector256.Create(value));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words4 Sequence(ulong first, ulong step) => new(Vector256.CreateSequence(first, step));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words4 Multiply(Words4 a, Words4 b) => new(
            Avx2.IsSupported
                ? Avx2.Multiply(a.value.AsUInt32(), b.value.AsUInt32())
                : (a.value & Vector256.Create((ulong)uint.MaxValue)) * (b.value & Vector256.Create((ulong)uint.MaxValue)));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words4 High(Words4 a) => new(a.value >> 32);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words4 operator ^(Words4 a, Words4 b) => new(a.value ^ b.value);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words4 operator +(Words4 a, Words4 b) => new(a.value + b.value);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Words4 low, Words4 high, uint bound, float kept, float* to)
        {
            Vector256<uint> words = Vector256.Narrow(low.value, high.value);
            (Vector256.GreaterThanOrEqual(words, Vector256.Create(bound)).AsSingle() & Vector256.Create(kept)).Store(to);
        }
    }
}
