using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

public sealed class SmokeTests
{
    [Fact]
    public void Gradients_flow_through_attention_and_linear()
    {
        using var scope = NewDisposeScope();
        var x = randn([2, 4, 8, 16], requires_grad: true);
        var y = nn.functional.scaled_dot_product_attention(x, x, x, is_casual: true);
        (y * y).sum().backward();
        Assert.True(x.grad!.isfinite().all().ToBoolean());
        Assert.Equal(AttentionBackend.Flash, ScaledDotProductAttention.Backend(x, x, x, isCausal: true));
    }
}
