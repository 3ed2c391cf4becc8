using System.Text.Json;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Evaluation.Tasks;

/// <summary>What a model has to do, and how its answer is judged.</summary>
public enum TaskKind
{
    /// <summary>The likeliest of some continuations.</summary>
    [JsonStringEnumMemberName("multiple_choice")]
    MultipleChoice,

    /// <summary>One continuation: its likelihood, and whether greedy decoding writes it (cloze, such as LAMBADA).</summary>
    [JsonStringEnumMemberName("loglikelihood")]
    Loglikelihood,

    /// <summary>A text written up to a stop.</summary>
    [JsonStringEnumMemberName("generate_until")]
    GenerateUntil,
}

/// <summary>A task as a JSON file, under the names that lm-evaluation-harness (Gao et al. 2021) gives its YAML files.</summary>
public sealed record TaskDefinition
{
    internal static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
        ReadCommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true,
        Converters = { new JsonStringEnumConverter(allowIntegerValues: false), new TextsConverter() },
    };

    /// <summary>The task's name.</summary>
    public required string Task { get; init; }

    /// <summary>What the model has to do.</summary>
    public required TaskKind OutputType { get; init; }

    /// <summary>Files of JSON lines or Parquet with a record for each question, folders or globs; relative to the task's file. Empty where
    /// <c>--data</c> says it.</summary>
    public IReadOnlyList<string> Data { get; init; } = [];

    /// <summary>Where examples come from, as <see cref="Data"/>; empty for the questions' own files.</summary>
    public IReadOnlyList<string> FewshotData { get; init; } = [];

    /// <summary>The data set's name at Hugging Face, for people and for messages.</summary>
    public string? DatasetPath { get; init; }

    /// <summary>The part of the data set, a folder of it.</summary>
    public string? DatasetName { get; init; }

    /// <summary>The split for training; examples come from it if <see cref="FewshotSplit"/> is not given.</summary>
    public string? TrainingSplit { get; init; }

    /// <summary>The split that is asked if there is no <see cref="TestSplit"/>.</summary>
    public string? ValidationSplit { get; init; }

    /// <summary>The split that is asked.</summary>
    public string? TestSplit { get; init; }

    /// <summary>The split that examples come from.</summary>
    public string? FewshotSplit { get; init; }

    /// <summary>How examples are chosen.</summary>
    public TaskSampler FewshotConfig { get; init; } = new();

    /// <summary>Examples before each question.</summary>
    public int NumFewshot { get; init; }

    /// <summary>What the prompt begins with; a template.</summary>
    public string Description { get; init; } = "";

    /// <summary>The question: a template in Jinja, or a field's name. With choices, a number says that the choices are questions, to which
    /// <see cref="DocToTarget"/> is the answer (Winogrande), and which is right.</summary>
    public required string DocToText { get; init; }

    /// <summary>The answer: a template, a field's name or a value; of a multiple choice its number from 0, its text, or a list of numbers
    /// of which any is right.</summary>
    public required JsonElement DocToTarget { get; init; }

    /// <summary>The choices: a template or field that is a list, or a list of texts.</summary>
    public JsonElement? DocToChoice { get; init; }

    /// <summary>A template or field that is a list with 1 for each true choice: <c>acc</c> is then the share of probability that is on them
    /// (TruthfulQA's MC2, Lin et al. 2022).</summary>
    public string? DocToLabels { get; init; }

    /// <summary>Between question and answer.</summary>
    public string TargetDelimiter { get; init; } = " ";

    /// <summary>Between examples.</summary>
    public string FewshotDelimiter { get; init; } = "\n\n";

    /// <summary>How a text is written.</summary>
    public TaskGeneration GenerationKwargs { get; init; } = new();

    /// <summary>What is measured; empty for what is usual.</summary>
    public IReadOnlyList<TaskMetric> MetricList { get; init; } = [];

    /// <summary>What is measured.</summary>
    internal IReadOnlyList<TaskMetric> Metrics => MetricList.Count > 0 ? MetricList
        : DocToLabels is not null ? [new() { Metric = "acc" }]
        : [.. TaskMetric.Usual(OutputType).Select(name => new TaskMetric { Metric = name })];

    /// <summary>The split that is asked.</summary>
    internal string? AskedSplit => TestSplit ?? ValidationSplit;

    /// <summary>Where examples come from.</summary>
    internal string? ExampleSplit => FewshotSplit ?? TrainingSplit ?? AskedSplit;

    /// <summary>Reads a task's file; its data are taken from where the file is.</summary>
    /// <exception cref="UserException">It cannot be read, or is no task.</exception>
    public static TaskDefinition Load(string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        try
        {
            TaskDefinition task = Parse(File.ReadAllText(path), path);
            return task with
            {
                Data = [.. task.Data.Select(data => Path.Combine(folder, data))],
                FewshotData = [.. task.FewshotData.Select(data => Path.Combine(folder, data))],
            };
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: the task cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Reads a task; <paramref name="at"/> is what errors begin with.</summary>
    internal static TaskDefinition Parse(string json, string at)
    {
        try
        {
            TaskDefinition task = JsonSerializer.Deserialize<TaskDefinition>(json, Format)
                ?? throw new UserException($"{at}: it is null, and no task");
            return task.ValidationError() is { } wrong ? throw new UserException($"{at}: {wrong}") : task;
        }
        catch (JsonException error)
        {
            throw new UserException($"{at}: {error.Message}", error);
        }
    }

    private string? ValidationError()
    {
        bool chooses = OutputType == TaskKind.MultipleChoice;
        bool hasChoices = DocToChoice is { ValueKind: JsonValueKind.String or JsonValueKind.Array };
        return chooses && !hasChoices ? "doc_to_choice is missing: name the field that has the choices, or list them"
            : !chooses && DocToChoice is not null ? "doc_to_choice is for output_type multiple_choice; leave it out"
            : !chooses && DocToLabels is not null ? "doc_to_labels is for output_type multiple_choice; leave it out"
            : DocToTarget.ValueKind is not (JsonValueKind.String or JsonValueKind.Number or JsonValueKind.Array)
            ? $"doc_to_target is {DocToTarget.GetRawText()}; give a template, a field's name, a number or a list"
            : NumFewshot < 0 ? $"num_fewshot is {NumFewshot}; give 0 or more"
            : GenerationKwargs.ValidationError() ?? MetricList.Select(metric => metric.ValidationError(OutputType)).FirstOrDefault(
                wrong => wrong is not null) ?? (DocToLabels is not null && Metrics is not [{ Metric: "acc" }]
                ? "metric_list has more than acc, which is all that doc_to_labels measures; leave it out" : null);
    }

    // The harness has a text or a list of them.
    private sealed class TextsConverter : JsonConverter<IReadOnlyList<string>>
    {
        public override IReadOnlyList<string> Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.String ? [reader.GetString()!]
                : JsonSerializer.Deserialize<string[]>(ref reader, options) is { } texts && !texts.Contains(null) ? texts
                : throw new JsonException("it is neither a text nor a list of texts");

        public override void Write(Utf8JsonWriter writer, IReadOnlyList<string> value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value.ToArray(), options);
    }
}

/// <summary>How examples are chosen.</summary>
public sealed record TaskSampler
{
    /// <summary><c>default</c>: drawn for each question as the harness draws them; <c>first_n</c>: the first ones.</summary>
    public TaskSampling Sampler { get; init; }
}

/// <summary>How examples are chosen.</summary>
public enum TaskSampling
{
    /// <summary>Drawn anew for each question.</summary>
    [JsonStringEnumMemberName("default")]
    Drawn,

    /// <summary>The first ones of the data.</summary>
    [JsonStringEnumMemberName("first_n")]
    First,
}

/// <summary>Greedy decoding that ends before any of some texts, or after so many tokens.</summary>
public sealed record TaskGeneration
{
    /// <summary>What ends the answer; it is no part of it.</summary>
    public IReadOnlyList<string> Until { get; init; } = ["\n\n"];

    /// <summary>The most tokens of an answer.</summary>
    public int MaxGenToks { get; init; } = 256;

    /// <summary>False: answers are written greedily.</summary>
    public bool DoSample { get; init; }

    /// <summary>0: answers are written greedily.</summary>
    public double Temperature { get; init; }

    internal string? ValidationError() =>
        MaxGenToks < 1 ? $"generation_kwargs.max_gen_toks is {MaxGenToks}; give 1 or more"
            : Until.Any(string.IsNullOrEmpty) ? "generation_kwargs.until has an empty text, at which nothing stops"
            : DoSample || Temperature != 0 ? "generation_kwargs asks for sampling; answers are written greedily: set do_sample to false " +
                "and temperature to 0, or leave them out"
            : null;
}
