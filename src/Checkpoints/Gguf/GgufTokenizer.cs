using System.Globalization;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Configuration;

namespace Trainer.Checkpoints.Gguf;

/// <summary>A tokenizer in llama.cpp's metadata. With a wrong pre-tokenizer llama.cpp silently computes wrong perplexities.</summary>
internal static class GgufTokenizer
{
    private const string Prefix = "tokenizer.ggml.";

    public static void Describe(ExportSource source, GgufMetadata metadata)
    {
        JsonObject json = source.Tokenizer.ToJson();
        if (TokenizerFiles.IsIds(json))
        {
            metadata.Add($"{Prefix}model", "none"); // llama.cpp then takes and gives ids
            return;
        }
        if (json["model"]?["type"]?.GetValue<string>() is not "BPE")
            throw new UserException(
                "llama.cpp knows tokenizers of byte-pair encoding, and this one is "
                + $"{json["model"]?["type"]?.ToJsonString() ?? "of no named kind"}; "
                + "train with tokenizer.type 'bpe' or 'byte', or use --format huggingface");
        bool sentencePiece = json["model"]!["byte_fallback"]?.GetValue<bool>() == true;
        GgufVocabulary vocabulary = GgufVocabulary.Of(json, source.VocabularySize, sentencePiece);
        metadata.Add($"{Prefix}model", sentencePiece ? "llama" : "gpt2");
        metadata.Add($"{Prefix}pre", sentencePiece ? "default" : GgufPreTokenizer.Of(json));
        metadata.Add($"{Prefix}tokens", vocabulary.Tokens).Add($"{Prefix}token_type", vocabulary.Types);
        if (sentencePiece) metadata.Add($"{Prefix}scores", vocabulary.Scores).Add($"{Prefix}add_space_prefix", AddsSpace(json));
        else metadata.Add($"{Prefix}merges", vocabulary.Merges);
        DescribeSpecials(source, vocabulary, metadata);
        if (ChatTemplateFile.Of(source.Companions) is { } chat) metadata.Add("tokenizer.chat_template", chat.Template);
    }

    private static void DescribeSpecials(ExportSource source, GgufVocabulary vocabulary, GgufMetadata metadata)
    {
        JsonObject generation = CompanionFiles.GenerationOf(source.Companions, source.Tokenizer);
        int[] around = source.Tokenizer.EncodeWithSpecialTokens("");
        int? begin = Id(generation["bos_token_id"]) ?? (around.Length > 0 ? around[0] : null);
        int? end = Id(generation["eos_token_id"]) ?? vocabulary.NeverUsed;
        metadata.Add($"{Prefix}bos_token_id", begin ?? end).Add($"{Prefix}eos_token_id", end);
        metadata.Add($"{Prefix}padding_token_id", Id(generation["pad_token_id"])).Add($"{Prefix}unknown_token_id", vocabulary.Unknown);
        metadata.Add($"{Prefix}add_bos_token", around.Length > 0 && around[0] == begin);
        metadata.Add($"{Prefix}add_eos_token", around.Length > 0 && around[^1] == end && (around.Length > 1 || begin != end));
    }

    // There may be several end tokens; llama.cpp takes one.
    private static int? Id(JsonNode? node) => node switch
    {
        JsonArray { Count: > 0 } several => several[0]!.GetValue<int>(),
        JsonValue value when value.TryGetValue(out int id) => id,
        _ => null,
    };

    private static bool AddsSpace(JsonObject json) =>
        json["normalizer"]?.ToJsonString().Contains("\"Prepend\"", StringComparison.Ordinal) == true
        || json["pre_tokenizer"] is JsonObject { } pre && pre["type"]?.GetValue<string>() == "Metaspace"
            && pre["prepend_scheme"]?.GetValue<string>() is "first" or "always";
}

/// <summary>The tokens of a byte-pair encoding, by id; scores are SentencePiece's, which merges the pair with the highest first.</summary>
/// <remarks><c>NeverUsed</c>, the byte 0xFF, is in no text: a model without an end token gets it, or llama.cpp takes token 11.</remarks>
internal sealed record GgufVocabulary(
    IReadOnlyList<string> Tokens,
    IReadOnlyList<int> Types,
    IReadOnlyList<string> Merges,
    IReadOnlyList<float> Scores,
    int? Unknown,
    int? NeverUsed)
{
    private const int Normal = 1, UnknownToken = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6;

    // The score that the reference implementation gives to tokens that no merge produces.
    private const float NoScore = -1000;

    /// <summary>Reads the content of a <c>tokenizer.json</c>; embedding rows without a token become unused tokens.</summary>
    public static GgufVocabulary Of(JsonObject json, int rows, bool sentencePiece)
    {
        string?[] tokens = new string?[rows];
        int[] types = new int[rows];
        JsonObject model = (JsonObject)json["model"]!;
        string? unknownName = model["unk_token"]?.GetValue<string>();
        foreach ((string name, JsonNode? id) in (JsonObject)model["vocab"]!)
            Set(id!.GetValue<int>(), name, name == unknownName ? UnknownToken : sentencePiece && IsByte(name) ? Byte : Normal);
        foreach (JsonNode? added in json["added_tokens"] as JsonArray ?? [])
        {
            string name = added!["content"]!.GetValue<string>();
            Set(
                added["id"]!.GetValue<int>(), name,
                name == unknownName ? UnknownToken : added["special"]?.GetValue<bool>() == true ? Control : UserDefined);
        }
        for (int id = 0; id < rows; id++)
            if (tokens[id] is null) Set(id, $"[PAD{id}]", Unused);
        string[] merges = [.. (model["merges"] as JsonArray ?? []).Select(Pair)];
        int never = Array.IndexOf(tokens, sentencePiece ? "<0xFF>" : "ÿ"), unknown = Array.IndexOf(types, UnknownToken);
        return new(tokens!, types, merges, ScoresOf(tokens!, types, merges), unknown < 0 ? null : unknown, never < 0 ? null : never);

        void Set(int id, string name, int type) => (tokens[id], types[id]) = (name, type);
    }

    // ["left", "right"] in newer files, "left right" in older ones.
    private static string Pair(JsonNode? merge) =>
        merge is JsonArray { Count: 2 } pair ? $"{pair[0]} {pair[1]}" : merge!.GetValue<string>();

    private static float[] ScoresOf(string[] tokens, int[] types, string[] merges)
    {
        Dictionary<string, int> ranks = [];
        for (int rank = 0; rank < merges.Length; rank++) ranks.TryAdd(merges[rank].Remove(merges[rank].IndexOf(' '), 1), rank);
        return [.. tokens.Select((token, id) => types[id] is Byte or Control or UnknownToken ? 0
            : ranks.TryGetValue(token, out int rank) ? -rank : NoScore - id)];
    }

    private static bool IsByte(string name) =>
        name.Length == 6 && name.StartsWith("<0x", StringComparison.Ordinal) && name[5] == '>'
        && byte.TryParse(name.AsSpan(3, 2), NumberStyles.HexNumber, null, out _);
}

/// <summary>llama.cpp's names of pre-tokenizers, which are built in.</summary>
internal static class GgufPreTokenizer
{
    private const string Gpt2 = "gpt-2";

    private static readonly IReadOnlyDictionary<string, string> Expressions = new Dictionary<string, string>
    {
        [@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"] = Gpt2,
        [@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"] =
            "llama-bpe",
        [@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"] = "qwen2",
        [@"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            + @"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            + @"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"] = "gpt-4o",
    };

    public static string Of(JsonObject json)
    {
        // Qwen's composes characters (NFC), which llama.cpp does not; nearly all text is composed already.
        if (json["normalizer"] is JsonObject normalizer && Type(normalizer) != "NFC")
            throw new UserException(
                $"llama.cpp cuts text as it stands, and this tokenizer changes it before ({normalizer.ToJsonString()}); "
                + "it would give other tokens, so no GGUF is written");
        // Without merges every byte is a token, however text is split.
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
            $"llama.cpp cuts text in the ways of {string.Join(", ", Expressions.Values)}, and this tokenizer in another "
            + $"({json["pre_tokenizer"]?.ToJsonString() ?? "null"}); it would give other tokens, so no GGUF is written");
    }

    private static IEnumerable<JsonObject> Steps(JsonObject? pre) => pre switch
    {
        null => [],
        _ when Type(pre) == "Sequence" => (pre["pretokenizers"] as JsonArray ?? []).OfType<JsonObject>(),
        _ => [pre],
    };

    private static string? Type(JsonObject step) => step["type"]?.GetValue<string>();
}
