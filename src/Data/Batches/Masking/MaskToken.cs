namespace Trainer.Data;

/// <summary>The token that stands where a masked model has to guess.</summary>
public static class MaskToken
{
    /// <summary>The names it goes by.</summary>
    internal static IReadOnlyList<string> Names { get; } = ["[MASK]", "<mask>", "<|mask|>"];

    /// <summary>Finds it.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <returns>Its id, or null where the tokenizer has none.</returns>
    public static int? Of(Tokenizer tokenizer) => Names.Select(tokenizer.TokenId).FirstOrDefault(id => id is not null);
}
