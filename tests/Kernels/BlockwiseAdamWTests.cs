using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class BlockwiseAdamWTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(1000)]
    [InlineData(70_000)]
    public void The_loop_is_the_composed_form(int numbers)
    {
        using DisposeScope scope = NewDisposeScope();
        using Generator random = new(7);
        Tensor start = randn([numbers], generator: random), loop = start.clone(), composed = start.clone();
        BlockwiseMoments ours = BlockwiseMoments.Zero(loop), theirs = BlockwiseMoments.Zero(composed);
        for (int step = 0; step < 6; step++)
        {
            // Numbers of very different size in one block.
            Tensor gradient = randn([numbers], generator: random).mul(rand([numbers], generator: random).pow(6));
            BlockwiseAdamW.Step(loop, gradient, ours, 0.01, 0.9, 0.95, 0.1, 1e-8);
            BlockwiseAdamW.Composed(composed, gradient, theirs, 0.01, 0.9, 0.95, 0.1, 1e-8);
        }

        TensorAssert.Close(theirs.AverageScale, ours.AverageScale, 1e-5);
        TensorAssert.Close(theirs.AverageSquareScale, ours.AverageSquareScale, 1e-5);
        // Where rounding differs in the last bit, a number between two codes may take the other: of 70,000 a few.
        Assert.InRange(theirs.Average.ne(ours.Average).sum().ToInt64(), 0, numbers / 2000);
        Assert.InRange(loop.sub(composed).abs().gt(1e-5).sum().ToInt64(), 0, numbers / 2000);
        Assert.Equal(6f, ours.Steps.item<float>());
        Dispose(ours);
        Dispose(theirs);
    }

    [Fact]
    public void Blocks_of_zeros_stay_zero_and_a_block_is_no_business_of_another()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = ones([768]), gradient = zeros([768]);
        gradient.narrow(0, 256, 256).fill_(1e-3f);
        BlockwiseMoments moments = BlockwiseMoments.Zero(weight);

        BlockwiseAdamW.Step(weight, gradient, moments, 0.1, 0.9, 0.95, 0, 1e-8);

        TensorAssert.Equal([0, 1e-4f, 0], moments.AverageScale);
        TensorAssert.SameBits(ones([256]), weight.narrow(0, 0, 256));
        TensorAssert.SameBits(ones([256]), weight.narrow(0, 512, 256));
        TensorAssert.Close(full([256], 0.9f), weight.narrow(0, 256, 256), 1e-4);
        Dispose(moments);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_number_gets_the_nearest_code(bool signed)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(5);
        DynamicCode code = signed ? DynamicCode.Signed : DynamicCode.Unsigned;
        Assert.Equal(256, code.Values.Distinct().Count());
        Assert.Equal((signed ? -0.99296875f : 0, 1f), (code.Values[0], code.Values[^1]));
        Tensor numbers = cat([rand(2000), rand(2000).pow(8), tensor(code.Values), zeros(1)]);
        if (signed) numbers = numbers.mul(randn(numbers.shape).sign());

        float[] found = code.Decode(code.Encode(numbers)).data<float>().ToArray(), given = numbers.data<float>().ToArray();

        for (int i = 0; i < given.Length; i++)
            if (signed || given[i] == 0 || given[i] > code.Values[1])
                Assert.Equal(code.Values.Min(value => Math.Abs(value - given[i])), Math.Abs(found[i] - given[i]), 1e-7f);
            else
                Assert.Equal(code.Values[1], found[i]); // not 0
    }

    private static void Dispose(BlockwiseMoments moments)
    {
        foreach (Tensor state in (Tensor[])[moments.Average, moments.AverageScale, moments.AverageSquare, moments.AverageSquareScale,
            moments.Steps]) state.Dispose();
    }
}
