using TorchSharp;
using Trainer.Models.Attention.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

public class CausalityTests
{
    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void A_later_token_leaves_earlier_logits_bit_equal(string projection, string position)
    {
        foreach (AttentionKernel kernel in Models.Kernels(position))
        {
            using DisposeScope scope = NewDisposeScope();
            using LanguageModel model = Models.Build(Models.Variant(projection, position, kernel));
            Tensor tokens = Models.Tokens(2, 8);
            Tensor changed = tokens.clone();
            changed.narrow(1, 5, 1).copy_(tokens.narrow(1, 5, 1).add(1).remainder(Models.Vocabulary));
            Tensor before = model.forward(tokens), after = model.forward(changed);
            Assert.True(before.narrow(1, 0, 5).Equals(after.narrow(1, 0, 5)));
            Assert.False(before.narrow(1, 5, 1).Equals(after.narrow(1, 5, 1)));
        }
    }
}
