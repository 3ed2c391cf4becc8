namespace Trainer.Inference;

/// <summary>A beginning that is followed; it shares all but its last token with the one it continues.</summary>
/// <param name="Previous">What it continues; null for the empty one.</param>
/// <param name="Token">Its last token.</param>
/// <param name="Length">Number of its tokens.</param>
/// <param name="LogProbability">Σ log p of its tokens, in nats.</param>
internal sealed record Beam(Beam? Previous, int Token, int Length, double LogProbability)
{
    public static readonly Beam Empty = new(null, -1, 0, 0);

    /// <summary>Its tokens, from the first.</summary>
    public int[] Tokens()
    {
        var tokens = new int[Length];
        for (Beam beam = this; beam.Length > 0; beam = beam.Previous!) tokens[beam.Length - 1] = beam.Token;
        return tokens;
    }
}
