using TorchSharp;
using Trainer.Models.Attention.Kernels;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

public class CausalityTests
{
    [Theory]
    [MemberData(nameof(Models.KernelVariants), MemberType = typeof(Models))]
    public void A_later_token_leaves_earlier_logits_as_they_are(string projection, string position, AttentionKernel kernel)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Variant(projection, position, kernel));
        Tensor tokens = Models.Tokens(2, 8), before = model.forward(tokens), after = model.forward(Models.Changed(tokens, 5));
        TensorAssert.Same(before.narrow(1, 0, 5), after.narrow(1, 0, 5));
        Assert.False(before.narrow(1, 5, 1).Equals(after.narrow(1, 5, 1)));
    }
}
