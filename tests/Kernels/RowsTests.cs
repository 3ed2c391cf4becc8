using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class RowsTests
{
    [Theory]
    [InlineData(1, ScalarType.Float32)]
    [InlineData(3, ScalarType.Float32)]
    [InlineData(3, ScalarType.Float64)]
    public void Rows_and_their_gradients_go_where_the_order_says(int copies, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor order = randperm(7 * copies), inverse = order.sort().Indices;
        KernelAssert.AgreesWithFloat64(
            [[7, 4, 2]],
            inputs => [Rows.Gather(inputs[0].to(type), order, inverse, copies)],
            inputs => [inputs[0].repeat_interleave(copies, 0).index_select(0, order)],
            1e-6);
        KernelAssert.LeavesNothing([[7, 4, 2]], inputs => [Rows.Gather(inputs[0], order, inverse, copies)]);
        KernelAssert.KeepsNothingWithoutGradients([[7, 4, 2]], inputs => [Rows.Gather(inputs[0], order, inverse, copies)]);
    }

    [Fact]
    public void Lengths_that_do_not_agree_are_named()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor order = randperm(7), inverse = order.sort().Indices;
        Assert.Contains("[6, 2] times 1", Assert.Throws<TorchException>(() => Rows.Gather(randn(6, 2), order, inverse)).Message);
    }
}
