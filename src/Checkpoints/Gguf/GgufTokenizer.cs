using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Configuration;

namespace Trainer.Checkpoints.Gguf;

/// <summary>A tokenizer as llama.cpp's metadata. Without it, or with a wrong pre-tokenizer, llama.cpp computes wrong perplexities and says nothing.</summary>
internal static class GgufTokenizer
{
    private const string Prefix = "tokenizer.ggml.";

    /// <summary>Adds the tokenizer of a model.</summary>
    /// <exception cref="UserException">llama.cpp has none of its kind.</exception>
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
                $"llama.cpp knows tokenizers of byte-pair encoding, and this one is {json["model"]?["type"]?.ToJsonString() ?? "of no named kind"}; train with tokenizer.type 'bpe' or 'byte', or use --format huggingface");
        bool sentencePiece = json["model"]!["byte_fallback"]?.GetValue<bool>() == true;
        GgufVocabulary vocabulary = GgufVocabulary.Of(json, source.VocabularySize, sentencePiece);
        metadata.Add($"{Prefix}model", sentencePiece ? "llama" : "gpt2");
        metadata.Add($"{Prefix}pre", sentencePiece ? "default" : PreTokenizerNames.Of(json));
        metadata.Add($"{Prefix}tokens", vocabulary.Tokens).Add($"{Prefix}token_type", vocabulary.Types);
        if (sentencePiece) metadata.Add($"{Prefix}scores", vocabulary.Scores).Add($"{Prefix}add_space_prefix", AddsSpace(json));
        else metadata.Add($"{Prefix}merges", vocabulary.Merges);
        DescribeSpecials(source, vocabulary, metadata);
        if (source.Companions.TryGetValue(CompanionFiles.TokenizerConfig, out JsonObject? config) && config["chat_template"] is JsonValue template && template.TryGetValue(out string? text))
            metadata.Add("tokenizer.chat_template", text);
    }

    private static void DescribeSpecials(ExportSource source, GgufVocabulary vocabulary, GgufMetadata metadata)
    {
        JsonObject generation = source.Companions.TryGetValue(CompanionFiles.Generation, out JsonObject? kept) ? kept : CompanionFiles.GenerationOf(source.Tokenizer);
        int[] around = source.Tokenizer.EncodeWithSpecialTokens("");
        int? begin = Id(generation["bos_token_id"]) ?? (around.Length > 0 ? around[0] : null);
        int? end = Id(generation["eos_token_id"]) ?? vocabulary.Never;
        metadata.Add($"{Prefix}bos_token_id", begin ?? end).Add($"{Prefix}eos_token_id", end);
        metadata.Add($"{Prefix}padding_token_id", Id(generation["pad_token_id"])).Add($"{Prefix}unknown_token_id", vocabulary.Unknown);
        metadata.Add($"{Prefix}add_bos_token", around.Length > 0 && around[0] == begin);
        metadata.Add($"{Prefix}add_eos_token", around.Length > 0 && around[^1] == end && (around.Length > 1 || begin != end));
    }

    // Several ends are allowed; llama.cpp takes one here.
    private static int? Id(JsonNode? node) => node switch
    {
        JsonArray { Count: > 0 } several => several[0]!.GetValue<int>(),
        JsonValue value when value.TryGetValue(out int id) => id,
        _ => null,
    };

    private static bool AddsSpace(JsonObject json) =>
        json["normalizer"]?.ToJsonString().Contains("\"Prepend\"", StringComparison.Ordinal) == true
        || json["pre_tokenizer"] is JsonObject { } pre && pre["type"]?.GetValue<string>() == "Metaspace" && pre["prepend_scheme"]?.GetValue<string>() is "first" or "always";
}
