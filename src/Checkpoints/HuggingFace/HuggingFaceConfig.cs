using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>A <c>config.json</c> that tracks which settings were read, and collects those that cannot be expressed here.</summary>
internal sealed class HuggingFaceConfig
{
    public const string FileName = "config.json";

    private readonly string path;
    private readonly string prefix;
    private readonly JsonObject content;
    private readonly HashSet<string> read = [];
    private readonly List<Problem> problems;

    private HuggingFaceConfig(string path, string prefix, JsonObject content, List<Problem> problems) =>
        (this.path, this.prefix, this.content, this.problems) = (path, prefix, content, problems);

    public static HuggingFaceConfig Load(string directory)
    {
        string path = Path.Combine(directory, FileName);
        if (!File.Exists(path))
            throw new UserException(
                $"{path}: it is missing; give the directory of a Hugging Face checkpoint, with {FileName} and safetensors");
        try
        {
            JsonNode? content = JsonNode.Parse(File.ReadAllBytes(path), documentOptions: new() { AllowDuplicateProperties = false });
            return Of(content as JsonObject ?? throw new UserException($"{path}: it must hold a JSON object"), path);
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: it is no valid JSON ({error.Message}); download it again", error);
        }
    }

    public static HuggingFaceConfig Of(JsonObject content, string path = FileName) => new(path, "", content, []);

    public string Location => path;

    public string ModelType =>
        OptionalText("model_type") ?? throw new UserException($"{path}: it has no model_type, which names the family of the model");

    public bool Has(string key)
    {
        read.Add(key);
        return content[key] is not null;
    }

    public bool Contains(string key) => content.ContainsKey(key);

    /// <summary>A value as stored, not counted as read.</summary>
    public JsonNode? Raw(string key) => content[key];

    // A missing or null setting without a fallback is refused; Optional… gives null instead.
    public int Count(string key, int? fallback = null) => OptionalCount(key) ?? fallback ?? Missing(key, "a whole number", 1);

    public int? OptionalCount(string key) => Value(key) switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out int number) => number,
        JsonValue value when value.TryGetValue(out double number) && number == Math.Floor(number) && Math.Abs(number) < int.MaxValue =>
            (int)number,
        var other => Wrong(key, "a whole number", other, (int?)1),
    };

    public double Number(string key, double? fallback = null) => OptionalNumber(key) ?? fallback ?? Missing(key, "a number", 1.0);

    public double? OptionalNumber(string key) => Value(key) switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out double number) => number,
        var other => Wrong(key, "a number", other, (double?)1),
    };

    public bool Flag(string key, bool fallback) => Value(key) switch
    {
        null => fallback,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        var other => Wrong(key, "true or false", other, fallback),
    };

    public string Text(string key, string? fallback = null) => OptionalText(key) ?? fallback ?? Missing(key, "a string", "");

    public string? OptionalText(string key) => Value(key) switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out string? text) => text,
        var other => Wrong(key, "a string", other, (string?)null),
    };

    public IReadOnlyList<string>? OptionalTexts(string key) =>
        Value(key) is JsonArray items && items.All(item => item is JsonValue value && value.TryGetValue(out string? _))
            ? [.. items.Select(item => item!.GetValue<string>())]
            : Value(key) is null ? null : Wrong(key, "a list of strings", Value(key), (IReadOnlyList<string>?)null);

    public IReadOnlyList<int>? OptionalCounts(string key) =>
        Value(key) is JsonArray items && items.All(item => item is JsonValue value && value.TryGetValue(out int _))
            ? [.. items.Select(item => item!.GetValue<int>())]
            : Value(key) is null ? null : Wrong(key, "a list of whole numbers", Value(key), (IReadOnlyList<int>?)null);

    /// <summary>A nested object, or null if absent; its problems are reported with those of this configuration.</summary>
    public HuggingFaceConfig? Section(string key) => Value(key) switch
    {
        null => null,
        JsonObject section => new(path, $"{prefix}{key}.", section, problems),
        var other => Wrong(key, "an object", other, (HuggingFaceConfig?)null),
    };

    public T Choice<T>(string key, string? fallback, IReadOnlyDictionary<string, T> choices)
    {
        string? found = OptionalText(key) ?? fallback;
        if (found is not null && choices.TryGetValue(found, out T? choice)) return choice;
        string known = string.Join(", ", choices.Keys);
        Refuse(key, found is null ? $"is missing; it can be {known}" : $"is \"{found}\"; this program knows {known}");
        return choices.Values.First();
    }

    /// <summary>Refuses a flag unless it has the only value that can be expressed here, which is also its default.</summary>
    public void Only(string key, bool value, string because)
    {
        if (Flag(key, value) != value) Refuse(key, $"is {(value ? "false" : "true")}; {because}");
    }

    public void Refuse(string key, string message) => problems.Add(new(prefix + key, message));

    /// <summary>Marks settings as known that do not change what the model computes.</summary>
    public void Ignore(params ReadOnlySpan<string> keys)
    {
        foreach (string key in keys) read.Add(key);
    }

    public IReadOnlyList<Problem> Refusals => problems;

    /// <summary>Ends reading, fails if a setting cannot be expressed, and returns those that were not read.</summary>
    public IReadOnlyList<string> Finish()
    {
        if (problems.Count > 0)
        {
            IEnumerable<string> lines = problems.Select(problem => $"  {problem.Path} {problem.Message}");
            throw new UserException($"{path}: this program has no such model:\n{string.Join('\n', lines)}");
        }
        Ignore(IgnoredEverywhere);
        return [.. content.Where(entry => !read.Contains(entry.Key) && !IsEmpty(entry.Value)).Select(entry => entry.Key)];
    }

    private static bool IsEmpty(JsonNode? value) => value switch
    {
        null or JsonArray { Count: 0 } or JsonObject { Count: 0 } => true,
        JsonValue flag when flag.TryGetValue(out bool on) => !on,
        _ => false,
    };

    private JsonNode? Value(string key)
    {
        read.Add(key);
        return content[key];
    }

    private T Missing<T>(string key, string needed, T instead)
    {
        Refuse(key, $"is missing; {needed} is needed");
        return instead;
    }

    private T Wrong<T>(string key, string needed, JsonNode? found, T instead)
    {
        Refuse(key, $"is {found?.ToJsonString() ?? "null"}; {needed} is needed");
        return instead;
    }

    // Bookkeeping, training, generation and other tasks: settings of every family that do not change what a model computes.
    private static readonly string[] IgnoredEverywhere =
    [
        "architectures", "model_type", "_name_or_path", "name_or_path", "transformers_version", "dtype", "torch_dtype", "auto_map",
        "use_cache", "vocab_size", "_attn_implementation", "_attn_implementation_internal", "_experts_implementation", "return_dict",
        "output_attentions", "output_hidden_states", "torchscript", "chunk_size_feed_forward", "problem_type", "finetuning_task",
        "id2label", "label2id", "num_labels", "tokenizer_class", "use_bfloat16", "pruned_heads", "initializer_range",
        "initializer_factor", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id",
        "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "prefix", "task_specific_params", "suppress_tokens",
        "begin_suppress_tokens", "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
        "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores", "return_dict_in_generate",
        "remove_invalid_values", "exponential_decay_length_penalty", "tf_legacy_loss", "gradient_checkpointing", "unsloth_version",
        "attention_dropout", "hidden_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout",
        "classifier_dropout_prob", "pretraining_tp", "is_encoder_decoder", "is_decoder", "cross_attention_hidden_size",
        "tie_encoder_decoder",
    ];
}
