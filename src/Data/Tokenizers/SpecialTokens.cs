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
    private static readonly string[] Begins = ["<s>", "<bos>", "[BOS]", "<|startoftext|>", "[CLS]", "<pad>", "[PAD]"];

    /// <summary>Tokens before every text that is read or written, in the decoder behind <see cref="Begin"/>; none for most.</summary>
    public IReadOnlyList<int> Before { get; init; } = [];

    /// <summary>The token that every generated text begins with, whatever the model says; null for none.</summary>
    public int? Forced { get; init; }

    /// <summary>What generation gives to the decoder.</summary>
    public IReadOnlyList<int> Prompt => Forced is { } first ? [Begin, first] : [Begin];

    /// <summary>What an encoder reads of a text.</summary>
    public int[] Source(IEnumerable<int> text) => [.. Before, .. text, End];

    /// <summary>A text as a decoder writes it, whole, behind its begin token.</summary>
    public int[] Target(IEnumerable<int> text) => [Begin, .. Before, .. text, End];

    /// <summary>Whether a token that was written stands before or behind a text, and is none of it.</summary>
    public bool Surrounds(int id) => id == End || Before.Contains(id);

    /// <summary>Where there is no begin token, padding serves as one (T5), or else the end token (GPT-2); throws without either.</summary>
    public static SequenceTokens Of(Tokenizer tokenizer)
    {
        var end = EndOfText.Of(tokenizer) ?? throw new UserException(
            $"data.objective is \"sequence-to-sequence\", but the tokenizer ({tokenizer.Type}) has no token that ends a text "
            + $"({string.Join(", ", EndOfText.Names)}); "
            + "add \"<s>\" and \"</s>\" to tokenizer.specialTokens of type \"bpe\", or use type \"file\" "
            + "with a tokenizer.json that has them");
        return new SequenceTokens(UsualBegin(tokenizer) ?? end, end);
    }

    /// <summary>As above, but with the tokens that the data names. With <see cref="DataOptions.DecoderStartToken"/> texts also have the
    /// special tokens before them that the tokenizer adds, as transformers trains and runs such models.</summary>
    public static SequenceTokens Of(Tokenizer tokenizer, DataOptions data)
    {
        var usual = Of(tokenizer) with { Forced = ForcedOf(tokenizer, data) };
        return data.DecoderStartToken is null
            ? usual
            : usual with { Begin = BeginOf(tokenizer, data)!.Value, Before = tokenizer.Template.Before };
    }

    /// <summary>The token that the decoder begins with, even where nothing ends texts; null where the tokenizer has none for it.</summary>
    public static int? BeginOf(Tokenizer tokenizer, DataOptions data) =>
        Named(tokenizer, "decoderStartToken", data.DecoderStartToken) ?? UsualBegin(tokenizer) ?? EndOfText.Of(tokenizer);

    /// <summary>The token that every generated text begins with by <see cref="DataOptions.ForcedBosToken"/>; null for none.</summary>
    public static int? ForcedOf(Tokenizer tokenizer, DataOptions data) => Named(tokenizer, "forcedBosToken", data.ForcedBosToken);

    private static int? UsualBegin(Tokenizer tokenizer) => Begins.Select(tokenizer.TokenId).FirstOrDefault(id => id is not null);

    private static int? Named(Tokenizer tokenizer, string setting, string? name) => name is null ? null : tokenizer.TokenId(name)
        ?? throw new UserException($"data.{setting} is \"{name}\", but the tokenizer ({tokenizer.Type}) has no such token; name one that "
            + "it has, or leave it out");
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
