using System.Text.Json.Nodes;
using Trainer.Data.HuggingFace;

namespace Trainer.Data;

/// <summary>The pieces of Hugging Face's <c>tokenizer.json</c>, version 1.0, as its own library writes them.</summary>
internal static class HuggingFaceTokenizer
{
    /// <summary>A whole file.</summary>
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

    /// <summary>Bytes as printable symbols, with no expression to split by and no space put in front.</summary>
    public static JsonObject ByteLevel() => new()
    {
        ["type"] = "ByteLevel",
        ["add_prefix_space"] = false,
        ["trim_offsets"] = false,
        ["use_regex"] = false,
    };

    /// <summary>Text cut into words by an expression, and these as bytes.</summary>
    public static JsonObject ByteLevelWords(string expression)
    {
        var bytes = ByteLevel();
        if (expression == Gpt2Scanner.Pattern)
        {
            bytes["use_regex"] = true;   // the expression that ByteLevel brings with it is GPT-2's
            return bytes;
        }
        return new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(Isolated(expression), bytes) };
    }

    /// <summary>Every character on its own.</summary>
    public static JsonObject EveryCharacter() => Isolated(EveryCharacterPattern);

    /// <summary>Any character, line breaks included, whatever the engine's options.</summary>
    public const string EveryCharacterPattern = @"[\s\S]";

    private static JsonObject Isolated(string expression) => new()
    {
        ["type"] = "Split",
        ["pattern"] = new JsonObject { ["Regex"] = expression },
        ["behavior"] = "Isolated",
        ["invert"] = false,
    };

    /// <summary>Tokens put together without anything between them.</summary>
    public static JsonObject Fuse() => new() { ["type"] = "Fuse" };

    /// <summary>A byte-pair model.</summary>
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

    /// <summary>A model of whole words. The unknown token is a name only: since the vocabulary lacks it, unknown words are errors there as here.</summary>
    public static JsonObject WordLevel(JsonObject vocabulary, string unknown) => new()
    {
        ["type"] = "WordLevel",
        ["vocab"] = vocabulary,
        ["unk_token"] = unknown,
    };
}
