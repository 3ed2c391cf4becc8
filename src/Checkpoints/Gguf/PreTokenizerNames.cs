using System.Text.Json.Nodes;
using Trainer.Configuration;

namespace Trainer.Checkpoints.Gguf;

/// <summary>What llama.cpp calls the ways of cutting text into words: it has them built in, and knows them by name only.</summary>
internal static class PreTokenizerNames
{
    private const string Gpt2 = "gpt-2";

    private static readonly IReadOnlyDictionary<string, string> Expressions = new Dictionary<string, string>
    {
        [@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"] = Gpt2,
        [@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"] = "llama-bpe",
        [@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"] = "qwen2",
        [@"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            + @"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            + @"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"] = "gpt-4o",
    };

    /// <summary>The name for a byte-level tokenizer.</summary>
    /// <exception cref="UserException">llama.cpp does not cut like that.</exception>
    public static string Of(JsonObject json)
    {
        // Qwen's composes characters (NFC), which llama.cpp leaves out; nearly all text is composed.
        if (json["normalizer"] is JsonObject normalizer && Type(normalizer) != "NFC")
            throw new UserException(
                $"llama.cpp cuts text as it stands, and this tokenizer changes it before ({normalizer.ToJsonString()}); it would give other tokens, so no GGUF is written");
        // Without merges every byte is a token, wherever text is cut.
        if (json["model"]?["merges"] is not JsonArray { Count: > 0 }) return Gpt2;
        JsonObject[] steps = [.. Steps(json["pre_tokenizer"] as JsonObject)];
        string?[] expressions = [.. steps.Select(step => step["pattern"]?["Regex"]?.GetValue<string>()).OfType<string>()];
        bool bytes = steps.Any(step => Type(step) == "ByteLevel");
        bool ownExpression = steps.Any(step => Type(step) == "ByteLevel" && step["use_regex"]?.GetValue<bool>() != false);
        bool spaces = steps.Any(step => Type(step) == "ByteLevel" && step["add_prefix_space"]?.GetValue<bool>() == true);
        if (bytes && !spaces && steps.All(step => Type(step) is "ByteLevel" or "Split"))
        {
            if (expressions.Length == 0 && ownExpression) return Gpt2;
            if (expressions is [{ } only] && !ownExpression && Expressions.TryGetValue(only, out string? name)) return name;
        }
        throw new UserException(
            $"llama.cpp cuts text in the ways of {string.Join(", ", Expressions.Values)}, and this tokenizer in another ({json["pre_tokenizer"]?.ToJsonString() ?? "null"}); it would give other tokens, so no GGUF is written");
    }

    private static IEnumerable<JsonObject> Steps(JsonObject? pre) => pre switch
    {
        null => [],
        _ when Type(pre) == "Sequence" => (pre["pretokenizers"] as JsonArray ?? []).OfType<JsonObject>(),
        _ => [pre],
    };

    private static string? Type(JsonObject step) => step["type"]?.GetValue<string>();
}
