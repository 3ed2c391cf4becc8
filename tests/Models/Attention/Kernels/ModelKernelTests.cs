using TorchSharp;
using Trainer.Models.Attention.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Kernels;

public class ModelKernelTests
{
    [Theory]
    [MemberData(nameof(Models.FlashVariants), MemberType = typeof(Models))]
    public void Flash_equals_the_reference_for_every_projection_and_position(string projection, string position)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel reference = Models.Build(Models.Variant(projection, position, AttentionKernel.Reference));
        using LanguageModel flash = Models.Build(Models.Variant(projection, position, AttentionKernel.Flash));
        Tensor tokens = Models.Tokens(2, 8), targets = Models.Tokens(2, 8, seed: 5);
        Assert.InRange(Models.LargestDifference(reference.forward(tokens), flash.forward(tokens)), 0, 2e-5);

        reference.LossSum(tokens, targets).backward();
        flash.LossSum(tokens, targets).backward();
        foreach (var (expected, actual) in reference.named_parameters().Zip(flash.named_parameters()))
        {
            Assert.Equal(expected.name, actual.name);
            double size = expected.parameter.grad!.abs().max().item<float>();
            Assert.InRange(Models.LargestDifference(expected.parameter.grad!, actual.parameter.grad!), 0, 1e-4 * Math.Max(1, size));
        }
    }
}
