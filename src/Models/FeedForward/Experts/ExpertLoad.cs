namespace Trainer.Models.FeedForward.Experts;

/// <summary>Counts the tokens that each expert is given during an optimizer step.</summary>
/// <remarks>Safe for several threads, whose order does not matter: whole numbers add up to the same.</remarks>
internal sealed class ExpertLoad(int experts)
{
    private readonly Lock gate = new();
    private long[] counting = new long[experts];

    /// <summary>The counts of the last whole step; zeros before the first.</summary>
    public IReadOnlyList<long> LastStep { get; private set; } = new long[experts];

    /// <summary>Adds what one forward pass gave to each expert.</summary>
    public void Add(ReadOnlySpan<long> tokens)
    {
        lock (gate)
            for (int expert = 0; expert < counting.Length; expert++) counting[expert] += tokens[expert];
    }

    /// <summary>Ends the step: its counts become <see cref="LastStep"/>, and counting begins anew.</summary>
    public IReadOnlyList<long> EndStep()
    {
        lock (gate) (LastStep, counting) = (counting, new long[experts]);
        return LastStep;
    }
}
