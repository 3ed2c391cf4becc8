namespace Trainer.Models;

/// <summary>What a layer of experts gave to each of them.</summary>
/// <param name="Layer">The layer's place in the model, such as <c>blocks.3.feedForward</c>.</param>
/// <param name="Tokens">Tokens of one optimizer step, an entry for each expert.</param>
public sealed record ExpertReport(string Layer, IReadOnlyList<long> Tokens)
{
    /// <summary>Tokens of the busiest expert over the mean: 1 when balanced, the number of experts over the active ones at worst.</summary>
    public double Busiest => Tokens.Sum() is var sum and > 0 ? (double)Tokens.Max() * Tokens.Count / sum : 0;

    /// <summary>Experts that were given nothing.</summary>
    public int Idle => Tokens.Count(count => count == 0);
}
