namespace Trainer.Evaluation.Bleu;

/// <summary>How BLEU is computed; every choice is in its signature, since each one moves the figure.</summary>
public sealed record BleuOptions
{
    /// <summary>How sentences are cut into words.</summary>
    public BleuTokenization Tokenization { get; init; } = BleuTokenization.Mteval13a;

    /// <summary>What becomes of n-grams of which none is found.</summary>
    public BleuSmoothing Smoothing { get; init; } = BleuSmoothing.Exponential;

    /// <summary>Whether case plays no part.</summary>
    public bool Lowercase { get; init; }

    /// <summary>Whether orders for which the hypothesis is too short are left out; for single sentences.</summary>
    public bool EffectiveOrder { get; init; }

    /// <summary>The choices in sacrebleu's notation.</summary>
    /// <param name="references">References for each sentence.</param>
    internal string Signature(int references) => string.Join('|',
        $"nrefs:{references}",
        $"case:{(Lowercase ? "lc" : "mixed")}",
        $"eff:{(EffectiveOrder ? "yes" : "no")}",
        $"tok:{(Tokenization == BleuTokenization.Mteval13a ? "13a" : "none")}",
        $"smooth:{(Smoothing == BleuSmoothing.Exponential ? "exp" : "none")}",
        $"version:trainer-{typeof(BleuOptions).Assembly.GetName().Version?.ToString(3)}");
}

/// <summary>How sentences are cut into words.</summary>
public enum BleuTokenization
{
    /// <summary>By the rules of the WMT evaluation script mteval-v13a: sacrebleu's default.</summary>
    Mteval13a,

    /// <summary>At white space alone, for text that is cut already.</summary>
    None,
}

/// <summary>What becomes of n-grams of which none is found.</summary>
public enum BleuSmoothing
{
    /// <summary>The k-th order without a match counts 1/2ᵏ matches (NIST; Chen and Cherry 2014, method 3): sacrebleu's default.</summary>
    Exponential,

    /// <summary>The score is 0.</summary>
    None,
}
