namespace Trainer.Text;

/// <summary>The token that says that a text ends.</summary>
public static class EndOfText
{
    /// <summary>The names it goes by, the most telling ones first.</summary>
    public static IReadOnlyList<string> Names { get; } = ["</s>", "<eos>", "[EOS]", "<|endoftext|>", "<|end_of_text|>", "[SEP]"];

    /// <summary>Finds it among a tokenizer's tokens.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <returns>Its id, or null where the tokenizer has none.</returns>
    public static int? Of(Tokenizer tokenizer) => Names.Select(tokenizer.TokenId).FirstOrDefault(id => id is not null);
}
