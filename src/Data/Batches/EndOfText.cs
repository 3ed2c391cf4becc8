using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The token that says that a text ends.</summary>
public static class EndOfText
{
    /// <summary>What a recipe writes for no such token.</summary>
    public const string None = "none";

    /// <summary>The names it goes by, the most telling ones first.</summary>
    public static IReadOnlyList<string> Names { get; } = ["</s>", "<eos>", "[EOS]", "<|endoftext|>", "<|end_of_text|>", "[SEP]"];

    /// <summary>Finds it among a tokenizer's tokens.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <returns>Its id, or null where the tokenizer has none.</returns>
    public static int? Of(Tokenizer tokenizer) => Names.Select(tokenizer.TokenId).FirstOrDefault(id => id is not null);

    /// <summary>The token that ends documents under a recipe.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="named">The name of the token; <see cref="None"/>; or null for the tokenizer's own.</param>
    /// <returns>Its id, or null for no token.</returns>
    /// <exception cref="UserException">The tokenizer has no token of this name.</exception>
    public static int? Of(Tokenizer tokenizer, string? named) => named switch
    {
        null => Of(tokenizer),
        None => null,
        _ => tokenizer.TokenId(named) ?? throw new UserException(
            $"data.endOfDocument is \"{named}\", but the tokenizer ({tokenizer.Type}) has no such token; "
            + "add it to tokenizer.specialTokens of type \"bpe\", name one that a tokenizer.json has, or set it to \"none\""),
    };
}
