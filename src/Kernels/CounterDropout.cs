// Shapes: B sequences, H heads, T rows, W numbers of a row.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Dropout (Srivastava et al. 2014) whose choices are a function of each number's place and of a key: nothing is stored for the
/// backward pass, and threads that share the sequences of a batch drop what one thread would.</summary>
/// <remarks>Philox4x32-10 (Salmon et al. 2011), its key the seed. On the CPU; a GPU's kernels draw from the generator of the
/// device.</remarks>
/// <param name="Probability">Of dropping a number, in [0, 1); 0 for none.</param>
/// <param name="Seed">Of a batch.</param>
/// <param name="First">Where the first of these sequences stands in its batch.</param>
/// <param name="Place">Tells the uses of a seed apart, 32 bits.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct CounterDropout(double Probability, long Seed, long First, long Place)
{
    /// <summary>x with some of its numbers 0 and the others divided by the probability of keeping them. Elsewhere than on the CPU the
    /// device's generator decides which, not the key.</summary>
    /// <param name="x">(B, T, W) or (B, H, T, W)</param>
    /// <param name="dropout">Which are dropped.</param>
    /// <returns>As <paramref name="x"/></returns>
    /// <exception cref="TorchException">The probability is not in [0, 1); on the CPU: other dimensions.</exception>
    public static Tensor Apply(Tensor x, CounterDropout dropout)
    {
        dropout.Check();
        if (x.device_type != DeviceType.CPU) return nn.functional.dropout(x, dropout.Probability, training: true);
        if (x.dim() is not (3 or 4))
            throw new TorchException($"counter-based dropout takes (B, T, W) or (B, H, T, W), not [{string.Join(", ", x.shape)}]");
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
                long list = row / rows;
                factors.Multiply(factors.List(list / heads, heads, list % heads), (uint)(row % rows), from + row * width, to + row * width,
                    width);
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

/// <summary>What the dropout of one batch follows from.</summary>
/// <param name="Seed">Of the batch.</param>
/// <param name="First">Where the first of the sequences at hand stands in it.</param>
public readonly record struct DropoutKey(long Seed, long First = 0)
{
    /// <summary>A key whose seed comes from the CPU's default generator.</summary>
    public static DropoutKey Draw()
    {
        using var scope = NewDisposeScope();
        return new(randint(0, long.MaxValue, [1], ScalarType.Int64).item<long>());
    }

    /// <summary>The key of something else of the same batch: of its encoder, where this is its decoder's.</summary>
    public DropoutKey Sibling => this with { Seed = Seed ^ long.MinValue };

    /// <summary>One use of the key.</summary>
    /// <param name="place">Tells it from other uses.</param>
    /// <param name="probability">Of dropping a number.</param>
    public CounterDropout At(long place, double probability) => new(probability, Seed, First, place);
}

/// <summary>What numbers are multiplied with: 0, or 1 / (1 − probability).</summary>
/// <remarks>Number n of a row belongs to word n / 16 % 4 of the counter (n / 64 · 16 + n % 16, row, list, place). The list of head h of
/// sequence b is (First + b)·H + h.</remarks>
internal readonly unsafe struct DropoutFactors(CounterDropout dropout)
{
    /// <summary>Numbers of a row that 16 counters decide on.</summary>
    public const int Block = 64;

    private const int Counters = 16;

    private readonly ulong low = (uint)dropout.Seed, high = (uint)((ulong)dropout.Seed >> 32), place = (uint)dropout.Place;
    private readonly uint dropped = (uint)(dropout.Probability * 4294967296.0);
    private readonly float kept = (float)(1.0 / (1.0 - dropout.Probability));
    private readonly long first = dropout.First;

    /// <summary>Whether any number is dropped at all.</summary>
    public bool Drops => dropped != 0;

    /// <summary>The list of a head of a sequence.</summary>
    public uint List(long sequence, long heads, long head) => (uint)((first + sequence) * heads + head);

    /// <summary>y = x·factors, one row.</summary>
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

    /// <summary>The factors of a tile, keys by queries: those of one block of numbers of each of several rows.</summary>
    /// <param name="list">Of the rows.</param>
    /// <param name="row">The first row.</param>
    /// <param name="rows">How many; up to 15 more are written.</param>
    /// <param name="block">Which numbers of the rows: from 64·block on.</param>
    /// <param name="to">(64, stride): a line for each number, its rows side by side.</param>
    /// <param name="stride">From a line to the next.</param>
    public void FillColumns(uint list, uint row, int rows, uint block, float* to, int stride)
    {
        for (int i = 0; i < Counters; i++)
            Fill((ulong)block * Counters + (ulong)i, 0, row, 1, list, to + i * stride, to + (16 + i) * stride, to + (32 + i) * stride, to
                + (48 + i) * stride, rows);
    }

    private void Fill(ulong a, ulong ofA, ulong b, ulong ofB, uint list, float* first, float* second, float* third, float* fourth,
        int count)
    {
        if (Vector512.IsHardwareAccelerated) Fill<Words8>(a, ofA, b, ofB, list, first, second, third, fourth, count);
        else Fill<Words4>(a, ofA, b, ofB, list, first, second, third, fourth, count);
    }

    // The words have 32 bits each, and 64 to multiply them in; what stands above the 32 matters to nobody.
    [MethodImpl(Lanes.Loop)]
    private void Fill<T>(
        ulong a, ulong ofA, ulong b, ulong ofB, uint list, float* first, float* second, float* third, float* fourth,
        int count) where T : struct, IWords<T>
    {
        T forA = T.Broadcast(0xD2511F53), forC = T.Broadcast(0xCD9E8D57), toLow = T.Broadcast(0x9E3779B9), toHigh = T.Broadcast(0xBB67AE85);
        for (int i = 0; i < count; i += 2 * T.Count)
        {
            T a0 = T.Count0(a + ofA * (ulong)i, ofA), a1 = T.Count0(a + ofA * (ulong)(i + T.Count), ofA);
            T b0 = T.Count0(b + ofB * (ulong)i, ofB), b1 = T.Count0(b + ofB * (ulong)(i + T.Count), ofB);
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
        static abstract T Count0(ulong first, ulong step);

        /// <summary>The products, of 64 bits, of the low halves.</summary>
        static abstract T Multiply(T a, T b);

        static abstract T High(T a);

        static abstract T operator ^(T a, T b);

        static abstract T operator +(T a, T b);

        /// <summary>The number kept where a word is not less than the bound, else 0.</summary>
        static abstract void Store(T low, T high, uint bound, float kept, float* to);
    }

    private readonly struct Words8(Vector512<ulong> value) : IWords<Words8>
    {
        private readonly Vector512<ulong> value = value;

        public static int Count => 8;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words8 Broadcast(ulong value) => new(Vector512.Create(value));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Words8 Count0(ulong first, ulong step) => new(Vector512.CreateSequence(first, step));

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
        public static Words4 Count0(ulong first, ulong step) => new(Vector256.CreateSequence(first, step));

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
