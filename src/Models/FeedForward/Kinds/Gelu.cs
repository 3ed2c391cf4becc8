namespace Trainer.Models.FeedForward;

/// <summary>down(GELU(up(x))), the exact GELU with erf (Hendrycks and Gimpel 2016, arXiv 1606.08415), as in BERT.</summary>
public sealed record GeluOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.Gelu;
}
