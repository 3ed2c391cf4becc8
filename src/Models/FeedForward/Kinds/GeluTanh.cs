namespace Trainer.Models.FeedForward;

/// <summary>down(GELU(up(x))), GELU approximated by ½x·(1 + tanh(√(2/π)·(x + 0.044715x³))), as in GPT-2.</summary>
public sealed record GeluTanhOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.GeluTanh;
}
