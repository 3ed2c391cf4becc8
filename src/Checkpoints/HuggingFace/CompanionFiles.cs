using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>The small files beside a Hugging Face model: its special tokens, and the defaults of generation.</summary>
internal static class CompanionFiles
{
    /// <summary>Token ids that begin and end texts, and the defaults of generation.</summary>
    public const string Generation = "generation_config.json";

    /// <summary>Names of special tokens, the chat template, and the class of the tokenizer.</summary>
    public const string TokenizerConfig = "tokenizer_config.json";

    /// <summary>Names of special tokens, again.</summary>
    public const string SpecialTokens = "special_tokens_map.json";

    private static readonly string[] Carried = [Generation, TokenizerConfig, SpecialTokens, ChatTemplateFile.FileName];

    internal static readonly string[] SpecialIds = ["bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"];

    public static IReadOnlyList<string> Names => Carried;

    public static IReadOnlyDictionary<string, JsonObject> In(string directory) =>
        Carried.Where(name => File.Exists(Path.Combine(directory, name)))
            .ToDictionary(name => name, name => Read(Path.Combine(directory, name)));

    /// <summary>A directory's companions; special ids that only <c>config.json</c> has go where transformers puts them, and the chat
    /// template, from wherever it is, to a file of its own.</summary>
    internal static IReadOnlyDictionary<string, JsonObject> Of(string directory, HuggingFaceConfig config)
    {
        Dictionary<string, JsonObject> files = new(In(directory));
        JsonObject generation = files.TryGetValue(Generation, out JsonObject? found) ? found : [];
        foreach (string key in SpecialIds)
            if (generation[key] is null && config.Raw(key) is { } id) generation[key] = id.DeepClone();
        files[Generation] = generation;
        if (ChatTemplateFile.In(directory, files) is { } chat) files[ChatTemplateFile.FileName] = chat.ToJson();
        else files.Remove(ChatTemplateFile.FileName);
        return files;
    }

    /// <summary>The defaults of generation of an exported model; what ends a turn by its chat template ends a text, too.</summary>
    internal static JsonObject GenerationOf(IReadOnlyDictionary<string, JsonObject> companions, Tokenizer tokenizer)
    {
        JsonObject json = companions.TryGetValue(Generation, out JsonObject? kept) ? (JsonObject)kept.DeepClone() : GenerationOf(tokenizer);
        if (ChatTemplateFile.Of(companions)?.EosToken is not { } token || tokenizer.TokenId(token) is not { } end) return json;
        int[] known = json["eos_token_id"] switch
        {
            JsonArray several => [.. several.Select(id => id!.GetValue<int>())],
            JsonValue one => [one.GetValue<int>()],
            _ => [],
        };
        if (known.Length == 0) json["eos_token_id"] = end;
        else if (!known.Contains(end)) json["eos_token_id"] = new JsonArray([end, .. known.Select(id => (JsonNode)id)]);
        return json;
    }

    /// <summary>The ids of special tokens, found by their usual names, for a model that was not imported.</summary>
    internal static JsonObject GenerationOf(Tokenizer tokenizer)
    {
        JsonObject json = [];
        Add("bos_token_id", "<s>", "<|begin_of_text|>", "<bos>", "[BOS]", "<|endoftext|>");
        Add("eos_token_id", "</s>", "<|end_of_text|>", "<eos>", "[EOS]", "<|endoftext|>");
        Add("pad_token_id", "<pad>", "[PAD]", "<|pad|>");
        return json;

        void Add(string key, params string[] names)
        {
            if (names.Select(tokenizer.TokenId).FirstOrDefault(id => id is not null) is { } id) json[key] = id;
        }
    }

    internal static JsonObject TokenizerConfigOf(JsonObject generation, Tokenizer tokenizer, int contextLength)
    {
        JsonObject json = new()
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["model_max_length"] = contextLength,
            ["clean_up_tokenization_spaces"] = false,
        };
        foreach (string key in (string[])["bos_token", "eos_token", "pad_token"])
            if (generation[$"{key}_id"] is JsonValue value && value.TryGetValue(out int id) && Token(tokenizer, id) is { } token)
                json[key] = token;
        return json;
    }

    private static string? Token(Tokenizer tokenizer, int id) => TokenNames(tokenizer).TryGetValue(id, out string? name) ? name : null;

    private static JsonObject Read(string path)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllBytes(path)) as JsonObject ?? throw new UserException($"{path}: it must hold a JSON object");
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: it is no valid JSON ({error.Message})", error);
        }
    }

    private static Dictionary<int, string> TokenNames(Tokenizer tokenizer)
    {
        JsonObject json = tokenizer.ToJson();
        Dictionary<int, string> names = [];
        switch (json["model"]?["vocab"])
        {
            case JsonObject vocabulary:
                foreach ((string name, JsonNode? id) in vocabulary) names[id!.GetValue<int>()] = name;
                break;
            case JsonArray pieces: // Unigram: [piece, score]
                for (int id = 0; id < pieces.Count; id++) names[id] = pieces[id]![0]!.GetValue<string>();
                break;
        }
        foreach (JsonNode? added in json["added_tokens"] as JsonArray ?? [])
            names[added!["id"]!.GetValue<int>()] = added["content"]!.GetValue<string>();
        return names;
    }
}
