using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public class TokenLossesTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 65)]
    [InlineData(300, 50_304)]
    public void They_are_the_cross_entropy_and_the_hits_of_each_row(int rows, int width)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(2);
        Tensor logits = randn(rows, width).mul(5), targets = randint(0, width, [rows], ScalarType.Int64);
        for (int row = 0; row < rows; row += 3) targets.select(0, row).copy_(logits.select(0, row).argmax()); // some are hit
        if (rows > 1) targets.narrow(0, 1, 1).fill_(-100);

        // No kernel takes float64: the composed form.
        (Tensor expected, Tensor expectedHits) = CrossEntropy.TokenLosses(logits.to(ScalarType.Float64), targets);
        Assert.True(expectedHits.item<long>() >= (rows + 2) / 3);
        KernelAssert.InEveryWidth(lanes =>
        {
            (Tensor losses, Tensor hits) = CrossEntropy.TokenLosses(logits, targets);
            // Sums in float32: those of four lanes, which no x86 processor here uses, are of twice as many numbers or more.
            TensorAssert.Close(expected, losses, lanes == 4 ? 4e-5 : 2e-5, $"losses in {lanes} lanes");
            Assert.Equal(expectedHits.item<long>(), hits.item<long>());
        });
    }

    [Fact]
    public void Of_equal_logits_the_first_is_the_highest()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal(1, CrossEntropy.TokenLosses(zeros(2, 4), tensor(new long[] { 0, 3 })).Hits.item<long>());
    }

    [Fact]
    public void What_is_not_a_number_stays_so()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = zeros(3, 40);
        foreach ((int row, int at) in ((int, int)[])[(0, 0), (1, 17), (2, 39)]) logits.narrow(0, row, 1).narrow(1, at, 1).fill_(float.NaN);
        (Tensor losses, Tensor hits) = CrossEntropy.TokenLosses(logits, tensor(new long[] { 3, 3, 3 }));
        Assert.All(losses.data<float>().ToArray(), loss => Assert.True(float.IsNaN(loss)));
    }

    [Fact]
    public void A_target_that_is_no_token_is_an_error()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Contains("Target 4 is out of bounds: there are 4 tokens",
            Assert.Throws<TorchException>(() => CrossEntropy.TokenLosses(zeros(1, 4), tensor(new long[] { 4 }))).Message);
    }
}
