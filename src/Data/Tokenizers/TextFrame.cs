namespace Trainer.Data;

/// <summary>The special tokens that a model is given around a text, such as <c>[CLS]</c> and <c>[SEP]</c>.</summary>
/// <param name="Before">Token ids before the text.</param>
/// <param name="After">Token ids behind it.</param>
public sealed record TextFrame(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    /// <summary>No tokens at all.</summary>
    public static TextFrame Empty { get; } = new([], []);

    /// <summary>How many tokens there are.</summary>
    public int Length => Before.Count + After.Count;
}
