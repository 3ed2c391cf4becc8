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

    /// <summary>A text written up to a stop: exact match and F1 with the answer.</summary>
    [JsonStringEnumMemberName("generate_until")]
    GenerateUntil,
}

/// <summary>A task as a JSON file, under the names that lm-evaluation-harness (Gao et al. 2021) gives its YAML files.</summary>
public sealed record TaskDefinition
{
    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
        ReadCommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true,
        Converters = { new JsonStringEnumConverter(allowIntegerValues: false) },
    };

    /// <summary>The task's name.</summary>
    public required string Task { get; init; }

    /// <summary>What the model has to do.</summary>
    public required TaskKind OutputType { get; init; }

    /// <summary>A file of JSON lines, a record each; relative to the task's file.</summary>
    public required string Data { get; init; }

    /// <summary>Where examples come from; null for <see cref="Data"/>, a record never being its own example.</summary>
    public string? FewshotData { get; init; }

    /// <summary>Examples before each question.</summary>
    public int NumFewshot { get; init; }

    /// <summary>What the prompt begins with.</summary>
    public string Description { get; init; } = "";

    /// <summary>The question: a text with <c>{{field}}</c>, or a field's name.</summary>
    public required string DocToText { get; init; }

    /// <summary>The answer: a text as above; of a multiple choice also its number from 0.</summary>
    public required string DocToTarget { get; init; }

    /// <summary>The choices: a field with a list, or a list of texts.</summary>
    public JsonElement? DocToChoice { get; init; }

    /// <summary>Between question and answer.</summary>
    public string TargetDelimiter { get; init; } = " ";

    /// <summary>Between examples.</summary>
    public string FewshotDelimiter { get; init; } = "\n\n";

    /// <summary>How a text is written.</summary>
    public TaskGeneration GenerationKwargs { get; init; } = new();

    /// <summary>Reads a task's file; its data are taken from where the file is.</summary>
    /// <exception cref="UserException">It cannot be read, or is no task.</exception>
    public static TaskDefinition Load(string path)
    {
        try
        {
            TaskDefinition task = JsonSerializer.Deserialize<TaskDefinition>(File.ReadAllText(path), Format)
                ?? throw new UserException($"{path}: it is null, and no task");
            string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            return task.Checked(path) with
            {
                Data = Path.Combine(folder, task.Data),
                FewshotData = task.FewshotData is { } few ? Path.Combine(folder, few) : null,
            };
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: the task cannot be read: {error.Message}", error);
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: {error.Message}", error);
        }
    }

    private TaskDefinition Checked(string path)
    {
        bool hasChoices = DocToChoice is { ValueKind: JsonValueKind.String or JsonValueKind.Array };
        string? wrong = OutputType == TaskKind.MultipleChoice && !hasChoices
            ? "doc_to_choice is missing: name the field that has the choices, or list them"
            : OutputType != TaskKind.MultipleChoice && DocToChoice is not null
            ? "doc_to_choice is for output_type multiple_choice; leave it out"
            : NumFewshot < 0 ? $"num_fewshot is {NumFewshot}; give 0 or more"
            : GenerationKwargs.MaxGenToks < 1 ? $"generation_kwargs.max_gen_toks is {GenerationKwargs.MaxGenToks}; give 1 or more"
            : GenerationKwargs.Until.Any(string.IsNullOrEmpty) ? "generation_kwargs.until has an empty text, at which nothing stops"
            : null;
        return wrong is null ? this : throw new UserException($"{path}: {wrong}");
    }
}

/// <summary>Greedy decoding that ends before any of some texts, or after so many tokens.</summary>
public sealed record TaskGeneration
{
    /// <summary>What ends the answer; it is no part of it.</summary>
    public IReadOnlyList<string> Until { get; init; } = ["\n\n"];

    /// <summary>The most tokens of an answer.</summary>
    public int MaxGenToks { get; init; } = 256;
}
