using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The tokens that a decoder beside an encoder needs.</summary>
/// <param name="Begin">What it is given before the first token.</param>
/// <param name="End">What it writes after the last one; it also ends what the encoder reads.</param>
public sealed record SequenceTokens(int Begin, int End)
{
    private static readonly string[] Begins = ["<s>", "<bos>", "[BOS]", "<|startoftext|>", "[CLS]"];

    /// <summary>Finds them among a tokenizer's tokens. Without a begin token the padding token begins, as for T5, or the end token, as for GPT-2.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <returns>The tokens.</returns>
    /// <exception cref="UserException">It has no token that ends a text.</exception>
    public static SequenceTokens Of(Tokenizer tokenizer)
    {
        var end = EndOfText.Of(tokenizer) ?? throw new UserException(
            $"data.objective is \"sequence-to-sequence\", but the tokenizer ({tokenizer.Type}) has no token that ends a text ({string.Join(", ", EndOfText.Names)}); "
            + "add \"<s>\" and \"</s>\" to tokenizer.specialTokens of type \"bpe\", or use type \"file\" with a tokenizer.json that has them");
        return new SequenceTokens(First(tokenizer, [.. Begins, "<pad>", "[PAD]"]) ?? end, end);
    }

    private static int? First(Tokenizer tokenizer, IEnumerable<string> names) => names.Select(tokenizer.TokenId).FirstOrDefault(id => id is not null);
}
