using TorchSharp;
using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Tests.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers.Tests.Attention.Kernels;

public class BlockSparseTests
{
    public static TheoryData<string> Names() => PatternCases.Names();

    [Theory]
    [MemberData(nameof(Names))]
    public void It_equals_the_reference_forward_and_in_gradients(string name)
    {
        foreach ((int heads, int groups, int queries, int keys) in ((int, int, int, int)[])[(4, 4, 150, 150), (4, 2, 150, 150), (4, 1, 31, 200), (2, 2, 1, 90)])
        {
            using DisposeScope scope = NewDisposeScope();
            manual_seed(3);
            Tensor[] inputs = [Leaf(heads, queries), Leaf(groups, keys), Leaf(groups, keys)];
            using MaskStore masks = new();
            AttentionCall call = new(inputs[0], inputs[1], inputs[2], PatternCases.All[name].Options.Build(), keys - queries, 0.37, 0, masks);
            Expect(call, inputs);
        }
    }

    private static void Expect(in AttentionCall call, Tensor[] inputs)
    {
        BlockSparseKernel kernel = new();
        Assert.Null(kernel.RefusesCall(call));
        Tensor expected = new ReferenceKernel().Attend(call), actual = kernel.Attend(call);
        Assert.InRange(Models.LargestDifference(expected, actual), 0, 2e-6);
        Tensor weight = randn(expected.shape);
        var expectedGradients = autograd.grad([expected.mul(weight).sum()], inputs);
        var actualGradients = autograd.grad([actual.mul(weight).sum()], inputs);
        for (int i = 0; i < inputs.Length; i++)
            Assert.InRange(Models.LargestDifference(expectedGradients[i]!, actualGradients[i]!), 0, 2e-5);
    }

    private static Tensor Leaf(int heads, int positions) => randn(2, heads, positions, 8, requires_grad: true);
}
