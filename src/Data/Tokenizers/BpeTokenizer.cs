using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data.Tokenizers.HuggingFace;

namespace Trainer.Data.Tokenizers;

/// <summary>Byte-level byte-pair encoding trained on the training text; can express any text. At most about two million distinct words are
/// held, beyond which the rarest are dropped, and words over 1,024 bytes are skipped.</summary>
[Description("Byte-level byte-pair encoding (GPT-2's kind) learned from the training text: any text, no unknowns.")]
public sealed record BpeTokenizerOptions : TokenizerOptions, IValidated
{
    private const int Bytes = 256;

    /// <summary>The most tokens: special tokens, 256 bytes, and merges.</summary>
    [Description("The most tokens: special tokens + 256 bytes + merges. A short text may have fewer.")]
    [Range(257, 1_000_000)]
    public int VocabularySize { get; init; } = 4096;

    /// <summary>Special tokens, which take the first ids; <c>[CLS]</c> and <c>[SEP]</c> are added around texts as for BERT.</summary>
    [Description("Tokens with a meaning of their own, such as <|endoftext|>; they take the first ids and are never split. [CLS] and [SEP] "
        + "are put around masked rows; </s> or <|endoftext|> ends documents; <s> begins what a decoder beside an encoder writes.")]
    public IReadOnlyList<string> SpecialTokens { get; init; } = [];

    /// <summary>Rarer pairs are not merged.</summary>
    [Description("Pairs of tokens seen less often than this in the training text are not merged.")]
    [Range(1, int.MaxValue)]
    public int MinimumFrequency { get; init; } = 2;

    /// <summary>How text is split into words; no token crosses a split.</summary>
    [Description("How text is cut into words, which no token crosses: gpt2 = GPT-2's expression; cl100k = that of GPT-3.5 and 4 (numbers "
        + "in threes, line breaks apart).")]
    public SplitPattern Pattern { get; init; } = SplitPattern.Gpt2;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (VocabularySize <= Bytes + SpecialTokens.Count)
            yield return new Problem("vocabularySize", $"is {VocabularySize}, but {SpecialTokens.Count} special tokens and {Bytes} bytes "
                + $"leave no merge to learn; make it at least {Bytes + SpecialTokens.Count + 1}");
        for (var i = 0; i < SpecialTokens.Count; i++)
            if (SpecialTokens[i] is not { Length: >= 2 })
                yield return new Problem($"specialTokens.{i}",
                    $"is \"{SpecialTokens[i]}\"; a special token needs two characters or more, such as <|endoftext|>");
            else if (SpecialTokens.Take(i).Contains(SpecialTokens[i]))
                yield return new Problem($"specialTokens.{i}", $"\"{SpecialTokens[i]}\" is listed twice; name each special token once");
    }

    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new BpeTrainer(this);

    internal override TokenizerOptions WithSpecialTokens(IReadOnlyList<string> tokens)
    {
        var all = this with { SpecialTokens = [.. SpecialTokens.Union(tokens)] };
        Problem[] problems = [.. all.Validate().Select(problem => problem with { Path = $"tokenizer.{problem.Path}" })];
        return problems.Length == 0 ? all : throw new ConfigurationException(problems);
    }
}

/// <summary>How text is split into words before merging.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SplitPattern>))]
public enum SplitPattern
{
    /// <summary>GPT-2's (Radford 2019): words and numbers of any length, each with the space before it.</summary>
    [JsonStringEnumMemberName("gpt2")]
    Gpt2,

    /// <summary>GPT-3.5's and GPT-4's (tiktoken's cl100k): numbers in threes, line breaks apart, any sign before a word.</summary>
    [JsonStringEnumMemberName("cl100k")]
    Cl100k,
}

internal static class SplitPatterns
{
    public static string Expression(this SplitPattern pattern) => pattern switch
    {
        SplitPattern.Gpt2 => Gpt2Scanner.Pattern,
        SplitPattern.Cl100k => Cl100kScanner.Llama3Pattern,
        _ => throw new ArgumentOutOfRangeException(nameof(pattern), pattern, "no such pattern"),
    };

    public static Scanner Scanner(this SplitPattern pattern) => Tokenizers.Scanner.For(pattern.Expression())!;
}

internal sealed class BpeTrainer(BpeTokenizerOptions options, int threads = -1) : TokenizerTrainer
{
    private readonly WordCounter words = new(options.Pattern.Scanner(), threads: threads);

    public override void Observe(ReadOnlySpan<char> text) => words.Observe(text);

    public BpeVocabulary Learn() =>
        MergeLearner.Learn(words.Finish(), options.SpecialTokens, options.VocabularySize, options.MinimumFrequency);

    public override Tokenizer Build() => HuggingFaceTokenizer.Parse(Learn().ToJson(options.Pattern), "the learned tokenizer");
}

/// <summary>Tokens by id, special ones first, in byte-level symbols (<see cref="ByteLevelAlphabet"/>), and merges by rank.</summary>
internal sealed record BpeVocabulary(IReadOnlyList<string> SpecialTokens, IReadOnlyList<string> Tokens,
    IReadOnlyList<(string Left, string Right)> Merges)
{
    public JsonObject ToJson(SplitPattern pattern)
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < Tokens.Count; id++)
            vocabulary[Tokens[id]] = id;
        // "left right" rather than ["left","right"]: all versions of Hugging Face's library read it, and symbols contain no space.
        var merges = new JsonArray([.. Merges.Select(merge => (JsonNode)$"{merge.Left} {merge.Right}")]);
        var document = TokenizerJson.Document(TokenizerJson.ByteLevelWords(pattern.Expression()), TokenizerJson.ByteLevel(),
            TokenizerJson.Bpe(vocabulary, merges));
        document["added_tokens"] = TokenizerJson.AddedTokens(SpecialTokens);
        document["post_processor"] = TokenizerJson.BertTemplate(SpecialTokens);
        return document;
    }
}
