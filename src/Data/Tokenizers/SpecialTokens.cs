using Trainer.Configuration;

namespace Trainer.Data.Tokenizers;

/// <summary>The token that ends a text.</summary>
public static class EndOfText
{
    /// <summary>Written in a recipe for no such token.</summary>
    public const string None = "none";

    internal static IReadOnlyList<string> Names { get; } = ["</s>", "<eos>", "[EOS]", "<|endoftext|>", "<|end_of_text|>", "[SEP]"];

    internal static int? Of(Tokenizer tokenizer) => Names.Select(tokenizer.TokenId).FirstOrDefault(id => id is not null);

    /// <summary>The token that ends documents: by name, none for <see cref="None"/>, the tokenizer's own for null.</summary>
    public static int? Of(Tokenizer tokenizer, string? named) => named switch
    {
        null => Of(tokenizer),
        None => null,
        _ => tokenizer.TokenId(named) ?? throw new UserException(
            $"data.endOfDocument is \"{named}\", but the tokenizer ({tokenizer.Type}) has no such token; "
            + "add it to tokenizer.specialTokens of type \"bpe\", name one that a tokenizer.json has, or set it to \"none\""),
    };
}

/// <summary>The special tokens around a decoder's output; <c>End</c> also ends the encoder's input.</summary>
public sealed record SequenceTokens(int Begin, int End)
{
    private static readonly string[] Begins = ["<s>", "<bos>", "[BOS]", "<|startoftext|>", "[CLS]"];

    /// <summary>Where there is no begin token, padding serves as one (T5), or else the end token (GPT-2); throws without either.</summary>
    public static SequenceTokens Of(Tokenizer tokenizer)
    {
        var end = EndOfText.Of(tokenizer) ?? throw new UserException(
            $"data.objective is \"sequence-to-sequence\", but the tokenizer ({tokenizer.Type}) has no token that ends a text "
            + $"({string.Join(", ", EndOfText.Names)}); "
            + "add \"<s>\" and \"</s>\" to tokenizer.specialTokens of type \"bpe\", or use type \"file\" "
            + "with a tokenizer.json that has them");
        return new SequenceTokens(First(tokenizer, [.. Begins, "<pad>", "[PAD]"]) ?? end, end);
    }

    private static int? First(Tokenizer tokenizer, IEnumerable<string> names) =>
        names.Select(tokenizer.TokenId).FirstOrDefault(id => id is not null);
}

/// <summary>The token in place of a hidden one.</summary>
public static class MaskToken
{
    internal static IReadOnlyList<string> Names { get; } = ["[MASK]", "<mask>", "<|mask|>"];

    /// <summary>The tokenizer's mask token, or null.</summary>
    public static int? Of(Tokenizer tokenizer) => Names.Select(tokenizer.TokenId).FirstOrDefault(id => id is not null);

    internal static int Require(Tokenizer tokenizer) =>
        Of(tokenizer) ?? throw new UserException(
            $"data.objective is \"masked\", but the tokenizer ({tokenizer.Type}) has no mask token ({string.Join(", ", Names)}); "
            + "add \"[MASK]\" to tokenizer.specialTokens of type \"bpe\", or use type \"file\" with the tokenizer.json of a masked model");
}
