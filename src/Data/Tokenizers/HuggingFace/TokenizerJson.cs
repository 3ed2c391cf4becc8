using System.Text.Json.Nodes;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>The components of Hugging Face's <c>tokenizer.json</c>, version 1.0, as its own library writes them.</summary>
internal static class TokenizerJson
{
    public static JsonObject Document(JsonObject preTokenizer, JsonObject? decoder, JsonObject model) => new()
    {
        ["version"] = "1.0",
        ["truncation"] = null,
        ["padding"] = null,
        ["added_tokens"] = new JsonArray(),
        ["normalizer"] = null,
        ["pre_tokenizer"] = preTokenizer,
        ["post_processor"] = null,
        ["decoder"] = decoder,
        ["model"] = model,
    };

    /// <summary>Bytes as printable symbols, without split expression and leading space.</summary>
    public static JsonObject ByteLevel() => new()
    {
        ["type"] = "ByteLevel",
        ["add_prefix_space"] = false,
        ["trim_offsets"] = false,
        ["use_regex"] = false,
    };

    public static JsonObject ByteLevelWords(string expression)
    {
        var bytes = ByteLevel();
        if (expression == Gpt2Scanner.Pattern)
        {
            bytes["use_regex"] = true;   // ByteLevel's built-in expression is GPT-2's
            return bytes;
        }
        return new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(Isolated(expression), bytes) };
    }

    public static JsonObject EveryCharacter() => Isolated(EveryCharacterPattern);

    /// <summary>Any character, line breaks included, under any engine's options.</summary>
    public const string EveryCharacterPattern = @"[\s\S]";

    private static JsonObject Isolated(string expression) => new()
    {
        ["type"] = "Split",
        ["pattern"] = new JsonObject { ["Regex"] = expression },
        ["behavior"] = "Isolated",
        ["invert"] = false,
    };

    public static JsonObject Fuse() => new() { ["type"] = "Fuse" };

    public static JsonObject Bpe(JsonObject vocabulary, JsonArray merges) => new()
    {
        ["type"] = "BPE",
        ["dropout"] = null,
        ["unk_token"] = null,
        ["continuing_subword_prefix"] = null,
        ["end_of_word_suffix"] = null,
        ["fuse_unk"] = false,
        ["byte_fallback"] = false,
        ["ignore_merges"] = false,
        ["vocab"] = vocabulary,
        ["merges"] = merges,
    };

    /// <summary>The vocabulary lacks the unknown token, so unknown words are errors there as here.</summary>
    public static JsonObject WordLevel(JsonObject vocabulary, string unknown) => new()
    {
        ["type"] = "WordLevel",
        ["vocab"] = vocabulary,
        ["unk_token"] = unknown,
    };

    private const string Class = "[CLS]", Separator = "[SEP]";

    /// <summary>For tokens with ids 0, 1, 2 …</summary>
    public static JsonArray AddedTokens(IEnumerable<string> tokens) => AddedTokens(tokens.Select((token, id) => (token, id)));

    public static JsonArray AddedTokens(IEnumerable<(string Token, int Id)> tokens) =>
        new([.. tokens.Select(entry => (JsonNode)new JsonObject
    {
        ["id"] = entry.Id,
        ["content"] = entry.Token,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
        ["special"] = true,
    })]);

    /// <summary>BERT's template, [CLS] A [SEP] B [SEP], or null if a token is missing.</summary>
    public static JsonObject? BertTemplate(IReadOnlyList<string> tokens) =>
        !tokens.Contains(Class) || !tokens.Contains(Separator) ? null : new JsonObject
    {
        ["type"] = "TemplateProcessing",
        ["single"] = new JsonArray(Special(Class, 0), Sequence("A", 0), Special(Separator, 0)),
        ["pair"] = new JsonArray(Special(Class, 0), Sequence("A", 0), Special(Separator, 0), Sequence("B", 1), Special(Separator, 1)),
        ["special_tokens"] = new JsonObject(
            [.. new[] { Class, Separator }.Select(token => KeyValuePair.Create(token, (JsonNode?)new JsonObject
        {
            ["id"] = token,
            ["ids"] = new JsonArray(tokens.ToList().IndexOf(token)),
            ["tokens"] = new JsonArray(token),
        }))]),
    };

    private static JsonObject Special(string token, int part) =>
        new() { ["SpecialToken"] = new JsonObject { ["id"] = token, ["type_id"] = part } };

    private static JsonObject Sequence(string name, int part) =>
        new() { ["Sequence"] = new JsonObject { ["id"] = name, ["type_id"] = part } };
}
