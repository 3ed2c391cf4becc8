using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Torch.Tests;

/// <summary>Every step of a token's program gives what libtorch's operations give.</summary>
public sealed class TokenProgramTests
{
    private const double Tolerance = 2e-5;
    private const int Batch = 2;

    /// <summary>Around the widths that are taken at once: 16, 32 and 64 numbers, 4 rows.</summary>
    public static TheoryData<int, int> Matrices()
    {
        TheoryData<int, int> data = [];
        foreach (int inputs in (int[])[1, 15, 16, 31, 33, 64, 97, 130, 384])
        foreach (int outputs in (int[])[1, 3, 4, 5, 66])
            data.Add(inputs, outputs);
        return data;
    }

    [Theory]
    [MemberData(nameof(Matrices))]
    public void A_matrix(int inputs, int outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = randn(Batch, inputs), weight = randn(outputs, inputs), bias = randn(outputs);
        Agree(functional.linear(x, weight, bias), x, (program, from, to) => program.Linear(from, to, weight, bias), inputs * Tolerance);
        Agree(functional.linear(x, weight), x, (program, from, to) => program.Linear(from, to, weight, null), inputs * Tolerance);

        Tensor coarse = weight.to_type(ScalarType.BFloat16), exact = coarse.to_type(ScalarType.Float32);
        Tensor rounded = x.to_type(ScalarType.BFloat16).to_type(ScalarType.Float32);
        Agree(functional.linear(rounded, exact, bias), x, (program, from, to) => program.Linear(from, to, coarse, bias), inputs * Tolerance);
    }

    [Fact]
    public void A_table_in_blocks()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor blocks = BlockQuantization.Pack(randn(5, 64));
        using TokenProgram program = new(2);
        TokenVector x = program.Vector(64);
        program.Embed(blocks, 3, x);
        TensorAssert.Close(BlockQuantization.Unpack(blocks).index_select(0, tensor(new long[] { 4, 1 })).mul(3), program.Run(tensor(new long[] { 4, 1 }, [2, 1]), 0, x), Tolerance);
    }

    [Theory]
    [InlineData(32, 5)]
    [InlineData(96, 8)]
    [InlineData(256, 131)]
    public void A_matrix_in_blocks(int inputs, int outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = randn(Batch, inputs), blocks = BlockQuantization.Pack(randn(outputs, inputs)), bias = randn(outputs);
        Agree(functional.linear(x, BlockQuantization.Unpack(blocks), bias), x, (program, from, to) => program.Linear(from, to, blocks, bias), inputs * Tolerance);
    }

    // The last for several threads.
    [Theory]
    [InlineData(64, 5)]
    [InlineData(320, 8)]
    [InlineData(768, 2051)]
    public void A_packed_matrix(int inputs, int outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = randn(Batch, inputs).to_type(ScalarType.BFloat16).to_type(ScalarType.Float32), weight = randn(outputs, inputs).to_type(ScalarType.BFloat16), bias = randn(outputs);
        Tensor packed = ExponentPacking.TryPack(weight)!;
        Agree(functional.linear(x, weight.to_type(ScalarType.Float32), bias), x, (program, from, to) => program.Linear(from, to, packed, bias), inputs * Tolerance);
    }

    [Fact]
    public void A_matrix_adds_to_what_is_there()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(Batch, 5), weight = randn(6, 5);
        Tensor expected = functional.linear(x, weight).mul(2);
        Agree(expected, x, (program, from, to) =>
        {
            program.Linear(from, to, weight, null);
            program.Linear(from, to, weight, null, adds: true);
        }, Tolerance);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8)]
    public void The_number_of_threads_changes_no_bit(ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        int threads = get_num_threads();
        int width = type == ScalarType.Int8 ? 704 : 700;
        Tensor x = randn(1, width), numbers = randn(3001, width), weight = type == ScalarType.Int8 ? BlockQuantization.Pack(numbers) : numbers.to_type(type);
        try
        {
            set_num_threads(1);
            Tensor alone = Run(x, 3001, (program, from, to) => program.Linear(from, to, weight, null));
            set_num_threads(3);
            TensorAssert.SameBits(alone, Run(x, 3001, (program, from, to) => program.Linear(from, to, weight, null)));
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Theory]
    [InlineData(TokenActivation.Relu)]
    [InlineData(TokenActivation.Gelu)]
    [InlineData(TokenActivation.GeluTanh)]
    [InlineData(TokenActivation.Silu)]
    [InlineData(TokenActivation.SquaredRelu)]
    [InlineData(TokenActivation.Sigmoid)]
    public void A_function_plain_and_as_a_gate(TokenActivation function)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = linspace(-9, 9, Batch * 38, ScalarType.Float32).reshape(Batch, 38);
        Agree(Reference(function, x), x, (program, from, to) => program.Activate(from, to, function), Tolerance);
        Tensor[] halves = x.chunk(2, -1);
        Agree(Reference(function, halves[0]).mul(halves[1]), x, (program, from, to) => program.Activate(from, to, function), 10 * Tolerance);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, false)]
    public void A_norm_of_all_and_of_heads(bool centred, bool biased)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(Batch, 24), weight = randn(24), small = randn(6);
        Tensor? bias = biased ? randn(24) : null, smallBias = biased ? randn(6) : null;
        Agree(Normed(x, weight, bias, centred), x, (program, from, to) => program.Norm(from, to, weight, bias, 1e-5, centred), Tolerance);

        Tensor heads = Normed(x.view(Batch, 4, 6).narrow(1, 1, 2), small, smallBias, centred).reshape(Batch, 12);
        Tensor expected = cat([zeros(Batch, 6), heads, zeros(Batch, 6)], 1);
        Agree(expected, x, (program, from, to) => program.Norm(from, to, small, smallBias, 1e-5, centred, new(6, 2, 6)), Tolerance);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(4, 2)]
    [InlineData(6, 1)]
    public void Attention_over_a_cache_that_it_fills(int heads, int groups)
    {
        using DisposeScope scope = NewDisposeScope();
        const int Width = 10, Capacity = 9;
        manual_seed(3);
        Tensor keys = zeros(Batch, groups, Capacity, Width), values = zeros(Batch, groups, Capacity, Width);
        using TokenProgram program = new(Batch);
        TokenVector all = program.Vector((heads + 2 * groups) * Width), result = program.Vector(heads * Width);
        Tensor steps = randn(Capacity * Batch, all.Width); // what each token's query, key and value are
        program.Embed(steps, 1, all);
        program.Attend(all, result, keys, values, 0.3);
        Tensor table = steps.view(Capacity, Batch, heads + 2 * groups, Width);
        for (int position = 0; position < Capacity; position++)
        {
            Tensor actual = program.Run(tensor(new long[] { position * Batch, position * Batch + 1 }, [Batch, 1]), position, result);
            Tensor seen = table.narrow(0, 0, position + 1).permute(1, 2, 0, 3); // (B, H+2G, S, D)
            Tensor query = seen.narrow(1, 0, heads).narrow(2, position, 1), key = seen.narrow(1, heads, groups), value = seen.narrow(1, heads + groups, groups);
            Tensor scores = query.mul(0.3).matmul(Repeat(key).transpose(2, 3)); // (B, H, 1, S)
            TensorAssert.Close(functional.softmax(scores, -1).matmul(Repeat(value)).reshape(Batch, heads * Width), actual, Tolerance);
        }
        TensorAssert.SameBits(table.narrow(2, heads, groups).permute(1, 2, 0, 3), keys);
        TensorAssert.SameBits(table.narrow(2, heads + groups, groups).permute(1, 2, 0, 3), values);

        Tensor Repeat(Tensor few) => few.repeat_interleave(heads / groups, 1);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Pairs_turn_by_the_row_of_their_position(bool neighbours)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor angles = randn(5, 3), cos = angles.cos(), sin = angles.sin(), x = randn(Batch, 24);
        Tensor table = neighbours ? stack([cos, sin], -1).flatten(-2) : cat([cos, cos, sin.neg(), sin], -1);
        Tensor heads = x.view(Batch, 3, 8), first = heads.narrow(1, 0, 2).narrow(2, 0, 6); // 2 of 3 heads, 6 of their 8 numbers
        Tensor pairs = neighbours ? first.reshape(Batch, 2, 3, 2) : first.reshape(Batch, 2, 2, 3).transpose(2, 3); // (B, 2, 3 pairs, 2)
        Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1), c = cos.select(0, 4), s = sin.select(0, 4);
        Tensor turned = stack([a.mul(c).sub(b.mul(s)), b.mul(c).add(a.mul(s))], -1);
        Tensor expected = heads.clone();
        expected.narrow(1, 0, 2).narrow(2, 0, 6).copy_((neighbours ? turned : turned.transpose(2, 3)).reshape(Batch, 2, 6));
        Agree(expected.view(Batch, 24), x, (program, from, to) =>
        {
            program.Add(from, to);
            program.Turn(to, new(0, 2, 8), 6, table, neighbours);
        }, Tolerance, position: 4);
    }

    [Fact]
    public void A_place_a_factor_and_a_bound()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(Batch, 7), places = randn(3, 7);
        Agree(x.add(places.select(0, 2)).mul(1.5).div(2).tanh().mul(2), x, (program, from, to) =>
        {
            program.Add(from, to);
            program.AddPlace(places, to);
            program.Bound(to, 1.5, 2);
        }, Tolerance, position: 2);
    }

    [Fact]
    public void What_is_outside_a_table_or_does_not_fit_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        using TokenProgram program = new(1);
        TokenVector x = program.Vector(4), y = program.Vector(5);
        program.Embed(randn(3, 4), 1, x);
        program.AddPlace(randn(2, 4), x);
        Assert.Contains("token 3 is none of the 3", Assert.Throws<TorchException>(() => program.Run(tensor(new long[] { 3 }, [1, 1]), 0, x)).Message);
        Assert.Contains("position 2 is none of the 2", Assert.Throws<TorchException>(() => program.Run(tensor(new long[] { 0 }, [1, 1]), 2, x)).Message);
        Assert.Contains("does not take a vector of 4 to one of 5", Assert.Throws<TorchException>(() => program.Linear(x, y, randn(5, 3), null)).Message);
        Assert.Contains("[5, 35] Char", Assert.Throws<TorchException>(() => program.Linear(x, y, zeros([5, 35], ScalarType.Int8), null)).Message);
        Assert.Contains("vectors of 4 and 5", Assert.Throws<TorchException>(() => program.Add(x, y)).Message);
        Assert.Throws<TorchException>(() => program.Run(tensor(new long[] { 0, 1 }, [2, 1]), 0, x));
    }

    // x comes in as rows of an embedding, one for each sequence.
    private static Tensor Run(Tensor x, int width, Action<TokenProgram, TokenVector, TokenVector> write, int position = 0)
    {
        int batch = (int)x.size(0);
        using TokenProgram program = new(batch);
        TokenVector from = program.Vector((int)x.size(1)), to = program.Vector(width);
        program.Embed(x, 1, from);
        write(program, from, to);
        return program.Run(arange(0, batch, ScalarType.Int64).unsqueeze(1), position, to);
    }

    private static void Agree(Tensor expected, Tensor x, Action<TokenProgram, TokenVector, TokenVector> write, double tolerance, int position = 0) =>
        TensorAssert.Close(expected, Run(x, (int)expected.size(1), write, position), tolerance);

    private static Tensor Normed(Tensor x, Tensor weight, Tensor? bias, bool centred) =>
        centred ? functional.layer_norm(x, weight.shape, weight, bias, 1e-5) : Functional.RmsNorm(x, weight.shape, weight, 1e-5);

    private static Tensor Reference(TokenActivation function, Tensor x) => function switch
    {
        TokenActivation.Relu => x.relu(),
        TokenActivation.Gelu => functional.gelu(x),
        TokenActivation.GeluTanh => Functional.GeluTanh(x),
        TokenActivation.Silu => x.silu(),
        TokenActivation.SquaredRelu => x.relu().square(),
        TokenActivation.Sigmoid => x.sigmoid(),
        _ => throw new ArgumentOutOfRangeException(nameof(function)),
    };
}
