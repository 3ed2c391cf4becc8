namespace Trainer.Training.Plan;

/// <summary>The validation loss of a run from those of two short ones of the same model, whose learning rates fell to their ends
/// too.</summary>
/// <remarks>The loss falls by a power of the tokens (Kaplan et al. 2020, arXiv 2001.08361): by the one that the two show at first, which
/// tends to a small one that texts have in common. Against it works what the model learns by heart from a text that it reads again and
/// again (Muennighoff et al. 2023, arXiv 2305.16264). The three numbers are fitted to runs of four texts; docs/training.md has
/// them.</remarks>
internal static class LossForecast
{
    /// <summary>Steps of the longer run, and its share of all, below which the two show little more than how learning begins.</summary>
    public const int FewestSteps = 250;

    public const double LeastShare = 0.05;

    /// <summary>Epochs times parameters for each token of the text, above which a model learns more by heart than runs have shown.</summary>
    public const double MostByHeart = 10;

    private const double Common = 0.081, Shown = 0.116, ByHeart = 0.029;

    /// <summary>Nats a token after <paramref name="tokens"/>, which may not be fewer than the longer run's.</summary>
    /// <param name="shorter">Tokens and loss of one run.</param>
    /// <param name="longer">Tokens and loss of the other.</param>
    /// <param name="tokens">Of the run to foretell.</param>
    /// <param name="byHeart">Its epochs, times parameters for each token of the text.</param>
    public static double Of((double Tokens, double Loss) shorter, (double Tokens, double Loss) longer, double tokens, double byHeart)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(shorter.Tokens, longer.Tokens);
        ArgumentOutOfRangeException.ThrowIfLessThan(tokens, longer.Tokens);
        double shown = Math.Max(0, Math.Log(shorter.Loss / longer.Loss) / Math.Log(longer.Tokens / shorter.Tokens));
        double left = longer.Tokens / tokens;
        return longer.Loss * Math.Pow(left, Common + Shown * shown) * Math.Exp(ByHeart * byHeart * (1 - left));
    }
}
