using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed unsafe class PanelProductTests
{
    public static MatrixTheoryData<int, (int, int, int)> Shapes => new(
        [16, 8, 4], [(1, 1, 1), (1, 7, 70), (1, 33, 128), (2, 8, 4), (4, 5, 32), (5, 100, 33), (8, 64, 65), (9, 40, 31), (130, 17, 96)]);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void It_is_the_product_in_every_width(int lanes, (int Rows, int Inputs, int Outputs) shape)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = randn(shape.Rows, shape.Inputs), weight = randn(shape.Outputs, shape.Inputs), bias = randn(shape.Outputs),
            before = randn(shape.Rows, shape.Outputs);
        Tensor expected = nn.functional.linear(x.to(ScalarType.Float64), weight.to(ScalarType.Float64));
        TensorAssert.CloseToScale(expected, Run(lanes, weight, x), 1e-6);
        TensorAssert.CloseToScale(expected.add(bias), Run(lanes, weight, x, bias), 1e-6);
        TensorAssert.CloseToScale(expected.add(before), Run(lanes, weight, x, adds: before), 1e-6);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(8)]
    [InlineData(4)]
    public void Each_vector_has_the_same_bits_alone_and_beside_others(int lanes)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(2);
        Tensor x = randn(77, 100), weight = randn(70, 100), together = Run(lanes, weight, x);
        foreach (int row in (int[])[0, 5, 63, 64, 76])
            TensorAssert.SameBits(together.narrow(0, row, 1), Run(lanes, weight, x.narrow(0, row, 1).contiguous()));
        TensorAssert.SameBits(together.narrow(0, 2, 3), Run(lanes, weight, x.narrow(0, 2, 3).contiguous()));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(130)]
    public void A_team_gives_the_same_bits(int rows)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor x = randn(rows, 512), weight = randn(1001, 512), bias = randn(1001), before = randn(rows, 1001);
        Tensor alone = Run(Lanes.Widest, weight, x, bias, before), together = before.clone(), panels = Packed(weight);
        ThreadTeam team = new();
        ThreadTeamTests.WithThreads(3, () => team.Run(Share, alone: false));
        TensorAssert.SameBits(alone, together);

        void Share() => PanelProduct.Multiply(
            new((nint)panels.DataPointer, 1001, 512, (nint)bias.DataPointer), (float*)x.DataPointer, (float*)together.DataPointer, rows, adds: true,
            team);
    }

    private static Tensor Packed(Tensor weight)
    {
        Tensor panels = full([PanelProduct.Numbers(weight.size(0), weight.size(1))], float.NaN);
        PanelProduct.Pack((float*)weight.DataPointer, weight.size(0), weight.size(1), (float*)panels.DataPointer);
        return panels;
    }

    private static Tensor Run(int lanes, Tensor weight, Tensor x, Tensor? bias = null, Tensor? adds = null)
    {
        long rows = x.size(0), inputs = weight.size(1), outputs = weight.size(0);
        Tensor panels = Packed(weight), y = adds?.clone() ?? full([rows, outputs], float.NaN);
        PanelProduct.PanelLoop loop = new()
        {
            X = (float*)x.DataPointer, XStride = inputs, Rows = rows, RowsAtOnce = Math.Min(rows, 64),
            Panels = (float*)panels.DataPointer, PanelNumbers = PanelProduct.Width * inputs, Depth = inputs,
            Y = (float*)y.DataPointer, YStride = outputs, Columns = outputs,
            Bias = bias is null ? null : (float*)bias.DataPointer, Adds = adds is not null,
        };
        switch (lanes)
        {
            case 16: loop.Run<Lanes16>(0, loop.Units); break;
            case 8: loop.Run<Lanes8>(0, loop.Units); break;
            default: loop.Run<Lanes4>(0, loop.Units); break;
        }
        GC.KeepAlive(panels);
        return y;
    }
}
