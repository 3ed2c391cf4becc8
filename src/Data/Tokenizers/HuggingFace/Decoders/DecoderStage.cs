namespace Trainer.Data.HuggingFace;

/// <summary>One step from tokens to text, working token by token, so that text comes out as early as it is certain.</summary>
internal abstract class DecoderStage
{
    /// <summary>The stage that takes what this one gives out.</summary>
    public DecoderStage Next { get; init; } = null!;

    /// <summary>Takes a token or a part of one.</summary>
    /// <param name="text">The token's text so far.</param>
    /// <param name="begins">Whether a token begins here; false where a fused one goes on.</param>
    public abstract void Push(string text, bool begins);

    /// <summary>Ends the sequence: gives out what was held back and makes ready for the next sequence.</summary>
    public virtual void Flush() => Next.Flush();
}
