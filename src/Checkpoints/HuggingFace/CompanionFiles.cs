using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Models;

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

    /// <summary>What the decoder of an encoder-decoder begins with.</summary>
    internal const string DecoderStart = "decoder_start_token_id";

    /// <summary>What every text begins with that is generated.</summary>
    internal const string ForcedBos = "forced_bos_token_id";

    internal static readonly string[] SpecialIds = ["bos_token_id", "eos_token_id", "pad_token_id", DecoderStart];

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
        // A token is forced by config.json only where there is no other file to say so.
        foreach (string key in found is null ? [.. SpecialIds, ForcedBos] : SpecialIds)
            if (generation[key] is null && config.Raw(key) is { } id) generation[key] = id.DeepClone();
        // How BART's first files say it.
        if (found is null && generation[ForcedBos] is null && generation["bos_token_id"] is { } bos
            && config.Raw("force_bos_token_to_be_generated") is JsonValue flag && flag.TryGetValue(out bool forces) && forces)
            generation[ForcedBos] = bos.DeepClone();
        files[Generation] = generation;
        if (ChatTemplateFile.In(directory, files) is { } chat) files[ChatTemplateFile.FileName] = chat.ToJson();
        else files.Remove(ChatTemplateFile.FileName);
        return files;
    }

    /// <summary>The name of the token whose id <c>generation_config.json</c> gives; null where it gives none that the tokenizer has.
    /// </summary>
    internal static string? TokenOf(IReadOnlyDictionary<string, JsonObject> companions, string key, Tokenizer tokenizer) =>
        companions.GetValueOrDefault(Generation)?[key] is JsonValue value && value.TryGetValue(out int id)
            && Token(tokenizer, id) is { } name && tokenizer.TokenId(name) == id
            ? name
            : null;

    /// <summary>Adds what the decoder of an encoder-decoder begins with, so that other programs begin as it was trained. What came with an
    /// imported model stays where it was not trained since, and its recipe does not say otherwise.</summary>
    internal static void AddSequenceTokens(JsonObject generation, ExportSource source)
    {
        if (source.Model is not EncoderDecoderOptions || source.Data is not { } data) return;
        bool tells = data.DecoderStartToken is not null || source.Origin is not null || generation[DecoderStart] is null;
        if (tells && SequenceTokens.BeginOf(source.Tokenizer, data) is { } begin) generation[DecoderStart] = begin;
        if (SequenceTokens.ForcedOf(source.Tokenizer, data) is { } forced) generation[ForcedBos] = forced;
        else if (source.Origin is not null) generation.Remove(ForcedBos); // a run's recipe says whether there is one
        if (generation["eos_token_id"] is null && EndOfText.Of(source.Tokenizer, named: null) is { } end) generation["eos_token_id"] = end;
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
            return JsonNode.Parse(File.ReadAllBytes(path), documentOptions: new() { AllowDuplicateProperties = false }) as JsonObject
                ?? throw new UserException($"{path}: it must hold a JSON object");
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
