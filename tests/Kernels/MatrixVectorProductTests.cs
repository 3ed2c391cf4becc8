using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed unsafe class MatrixVectorProductTests
{
    public static TheoryData<ScalarType, int, int, int> Shapes()
    {
        TheoryData<ScalarType, int, int, int> shapes = [];
        foreach (ScalarType type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
            foreach ((int batch, int inputs, int outputs) in (
                (int, int, int)[])[(1, 1, 1), (1, 7, 5), (2, 8, 4), (3, 33, 9), (4, 100, 6), (5, 64, 3), (8, 257, 13), (9, 40, 8)])
                shapes.Add(type, batch, inputs, outputs);
        foreach ((int batch, int inputs, int outputs) in ((int, int, int)[])[(1, 32, 1), (2, 64, 5), (4, 96, 6), (7, 320, 9)])
            shapes.Add(ScalarType.Int8, batch, inputs, outputs);
        return shapes;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void It_is_the_product(ScalarType type, int batch, int inputs, int outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = randn(batch, inputs), weight = Typed(randn(outputs, inputs), type), bias = randn(outputs),
            before = randn(batch, outputs);
        if (type == ScalarType.BFloat16) MatrixVectorProduct.Round((float*)x.DataPointer, (float*)x.DataPointer, x.numel());
        Tensor expected = nn.functional.linear(x.to(ScalarType.Float64), Exact(weight));
        TensorAssert.CloseToScale(expected, Multiply(weight, x, outputs), 1e-6);
        TensorAssert.CloseToScale(expected.add(bias), Multiply(weight, x, outputs, bias), 1e-6);
        TensorAssert.CloseToScale(expected.add(before), Multiply(weight, x, outputs, adds: before), 1e-6);
    }

    [Theory]
    [InlineData(ScalarType.Float32, 100)]
    [InlineData(ScalarType.BFloat16, 100)]
    [InlineData(ScalarType.Int8, 96)]
    public void Each_vector_has_the_same_bits_alone_and_beside_others(ScalarType type, int inputs)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(2);
        Tensor x = randn(7, inputs), weight = Typed(randn(11, inputs), type), together = Multiply(weight, x, 11);
        for (int i = 0; i < 7; i++) TensorAssert.SameBits(together.narrow(0, i, 1), Multiply(weight, x.narrow(0, i, 1).contiguous(), 11));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8)]
    public void The_bits_do_not_depend_on_threads(ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor x = randn(2, 512), weight = Typed(randn(3001, 512), type), alone = Multiply(weight, x, 3001);
        set_num_threads(3);
        try
        {
            TensorAssert.SameBits(alone, Multiply(weight, x, 3001));
        }
        finally
        {
            set_num_threads(1);
        }
    }

    [Theory]
    [InlineData(ScalarType.Float32, 1, 512)]
    [InlineData(ScalarType.BFloat16, 1, 512)]
    [InlineData(ScalarType.Int8, 1, 512)]
    [InlineData(ScalarType.BFloat16, 5, 512)]
    [InlineData(ScalarType.Float32, 1, 4200)] // rows too long to be fetched a group ahead
    [InlineData(ScalarType.BFloat16, 1, 4200)]
    public void A_team_gives_the_same_bits(ScalarType type, int batch, int inputs)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(6);
        Tensor x = randn(batch, inputs), weight = Typed(randn(1001, inputs), type), bias = randn(1001), before = randn(batch, 1001);
        Tensor alone = Multiply(weight, x, 1001, bias, before);
        Assert.True(MatrixVectorProduct.IsWorthATeam(Of(weight, 1001, inputs), batch));
        Tensor together = before.clone();
        ThreadTeam team = new();
        ThreadTeamTests.WithThreads(3, () => team.Run(Share, alone: false));
        TensorAssert.SameBits(alone, together);

        void Share() => MatrixVectorProduct.Multiply(
            Of(weight, 1001, inputs, bias), (float*)x.DataPointer, (float*)together.DataPointer, batch, adds: true, team);
    }

    [Fact]
    public void Some_rows_are_those_of_the_whole()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(4);
        Tensor x = randn(5, 40), weight = randn(23, 40), whole = Multiply(weight, x, 23), some = zeros(5, 23);
        MatrixVectorProduct.Multiply(Of(weight, 23, 40), (float*)x.DataPointer, (float*)some.DataPointer, 5, adds: false, 6, 17);
        TensorAssert.SameBits(whole.narrow(1, 6, 11).contiguous(), some.narrow(1, 6, 11).contiguous());
        TensorAssert.Zero(some.narrow(1, 0, 6));
        TensorAssert.Zero(some.narrow(1, 17, 6));
    }

    /// <summary>Every width of vector with every type; blocks are of 32 numbers, and fit no single lane.</summary>
    public static TheoryData<int, int, ScalarType> Widths()
    {
        TheoryData<int, int, ScalarType> data = [];
        foreach ((int lanes, int inputs) in ((int, int)[])[(16, 50), (8, 50), (4, 50), (1, 50), (16, 96), (8, 96), (4, 96)])
        foreach (ScalarType type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16, ScalarType.Int8])
            if (type != ScalarType.Int8 || inputs % 32 == 0) data.Add(lanes, inputs, type);
        return data;
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void Every_width_of_vector_gives_the_product(int lanes, int inputs, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(5);
        Tensor x = randn(5, inputs), weight = Typed(randn(6, inputs), type), y = zeros(5, 6);
        Run(lanes, Of(weight, 6, inputs), x, y);
        TensorAssert.CloseToScale(nn.functional.linear(x.to(ScalarType.Float64), Exact(weight)), y, 1e-6);
    }

    public static MatrixTheoryData<int, (ScalarType, int)> OfOneVector =>
        new([16, 8, 4], [(ScalarType.Float32, 135), (ScalarType.BFloat16, 135), (ScalarType.Int8, 160)]);

    [Theory]
    [MemberData(nameof(OfOneVector))]
    public void One_vector_alone_gives_the_product_in_every_width(int lanes, (ScalarType Type, int Inputs) weights)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(7);
        Tensor x = randn(1, weights.Inputs), weight = Typed(randn(10, weights.Inputs), weights.Type), bias = randn(10), y = zeros(1, 10);
        Run(lanes, Of(weight, 10, weights.Inputs, bias), x, y);
        TensorAssert.CloseToScale(
            nn.functional.linear(x.to(ScalarType.Float64), Exact(weight), bias.to(ScalarType.Float64)), y, 1e-6);
    }

    private static void Run(int lanes, VectorMatrix matrix, Tensor x, Tensor y)
    {
        float* from = (float*)x.DataPointer, to = (float*)y.DataPointer;
        switch (lanes)
        {
            case 16: MatrixVectorProduct.Run<Lanes16>(matrix, from, to, x.size(0)); break;
            case 8: MatrixVectorProduct.Run<Lanes8>(matrix, from, to, x.size(0)); break;
            case 4: MatrixVectorProduct.Run<Lanes4>(matrix, from, to, x.size(0)); break;
            default: MatrixVectorProduct.Run<Lanes1>(matrix, from, to, x.size(0)); break;
        }
    }

    // What the numbers of a weight stand for.
    private static Tensor Exact(Tensor weight) =>
        (weight.dtype == ScalarType.Int8 ? BlockQuantization.Unpack(weight) : weight).to(ScalarType.Float64);

    private static Tensor Typed(Tensor numbers, ScalarType type) =>
        type == ScalarType.Float32 ? numbers : ComputeWeight.Round(numbers, type);

    private static VectorMatrix Of(Tensor weight, long outputs, long inputs, Tensor? bias = null) =>
        new((nint)weight.DataPointer, weight.dtype, outputs, inputs, (nint)(bias is null ? null : bias.DataPointer));

    private static Tensor Multiply(Tensor weight, Tensor x, long outputs, Tensor? bias = null, Tensor? adds = null)
    {
        Tensor y = adds is null ? empty([x.size(0), outputs]) : adds.clone();
        MatrixVectorProduct.Multiply(
            Of(weight, outputs, x.size(1), bias), (float*)x.DataPointer, (float*)y.DataPointer, x.size(0), adds is not null);
        return y;
    }
}
