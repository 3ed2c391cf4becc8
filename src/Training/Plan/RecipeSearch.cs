using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Preparation;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Training.Plan;

/// <summary>What a recipe is wanted for: a text, and the time it may take or the depth it should have.</summary>
public sealed record RecipeGoal
{
    /// <summary>A file, a folder or a glob, or the name of a corpus that needs none, such as <c>dotnet-docs</c>.</summary>
    public required string Data { get; init; }

    /// <summary>The time that training takes; null with <see cref="Depth"/>.</summary>
    public TimeSpan? Time { get; init; }

    /// <summary>The number of layers; null to follow from the time.</summary>
    public int? Depth { get; init; }

    /// <summary>The most bytes that training may take; null for those of the machine.</summary>
    public long? Memory { get; init; }

    /// <summary>How long to measure; null for a tenth of <see cref="Time"/>, and a minute at most.</summary>
    public TimeSpan? Measuring { get; init; }
}

/// <summary>A recipe, and what it is expected to come to.</summary>
/// <param name="Json">The recipe, as a file would have it.</param>
/// <param name="Parameters">Learned numbers.</param>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Tokens">Tokens of all steps.</param>
/// <param name="Epochs">How often the text is read.</param>
/// <param name="Seconds">Of the run, with evaluations.</param>
/// <param name="PeakBytes">Of tensors; null where the system does not count them.</param>
/// <param name="Reasons">How it was chosen, a line each.</param>
public sealed record RecipePlan(
    JsonObject Json, long Parameters, long Steps, long Tokens, double Epochs, double Seconds, long? PeakBytes,
    IReadOnlyList<string> Reasons)
{
    /// <summary>The file's text.</summary>
    public string Text => ConfigurationJson.Format(Json) + "\n";

    /// <summary>Before the measuring: a recipe that is there is not overwritten.</summary>
    /// <exception cref="UserException">There is such a file.</exception>
    public static void RequireFree(string path)
    {
        if (File.Exists(path)) throw new UserException($"{path}: there is such a file already; remove it or choose another --out");
    }

    /// <summary>Writes the recipe, whole or not at all.</summary>
    /// <exception cref="UserException">There is such a file, or it cannot be written.</exception>
    public void Save(string path)
    {
        RequireFree(path);
        DurableFile.Replace(path, Text);
    }
}

/// <summary>Writes a recipe for a text and a time: measures machine and text with short runs, and scales them.</summary>
public sealed class RecipeSearch
{
    // Below this size a text is read by its bytes: a larger vocabulary would have too few examples of each token.
    private const long FewestBytesForPairs = 20_000_000;

    private const int Vocabulary = 4096, MostEpochs = 40;

    // Of measuring: what finds the depth; the model of that depth has the rest.
    private const double ProbeShare = 0.25;

    private readonly RecipeGoal goal;
    private readonly string datasets;
    private readonly IProgress<string> progress;
    private readonly TimeSpan measuring;
    private readonly List<string> reasons = [];

    private RecipeSearch(RecipeGoal goal, string datasets, IProgress<string> progress)
    {
        (this.goal, this.datasets, this.progress) = (goal, datasets, progress);
        double tenth = goal.Time is { } time ? time.TotalSeconds / 10 : 60;
        measuring = goal.Measuring ?? TimeSpan.FromSeconds(Math.Min(60, tenth));
    }

    /// <summary>Finds a recipe; prepares its data in <paramref name="datasetsDirectory"/>.</summary>
    /// <exception cref="ConfigurationException">Neither time nor depth is given, or both.</exception>
    /// <exception cref="UserException">The data cannot be read, or nothing fits into time or memory.</exception>
    public static RecipePlan Find(RecipeGoal goal, string datasetsDirectory, IProgress<string> progress)
    {
        if (goal.Time is null == goal.Depth is null)
            throw new ConfigurationException(
                [new("--time", "give --time, and the depth follows, or --depth, and the time does")], "command line");
        if (goal.Depth is < 1 or > RecipeTemplate.MostDepth)
            throw new ConfigurationException(
                [new("--depth", $"is {goal.Depth}; a model has 1 to {RecipeTemplate.MostDepth} layers here")], "command line");
        return new RecipeSearch(goal, datasetsDirectory, progress).Find();
    }

    private RecipePlan Find()
    {
        RecipeTemplate template = Begin();
        using PreparedData data = DataPreparation.Prepare(template.Build().Data, template.Build().Tokenizer, datasets, progress);
        (double unique, int vocabulary) = (data.Train.Length, data.Tokenizer.VocabularySize);
        if (goal.Time is { } time) template = ForTime(template, time, unique, vocabulary);
        else template = template with { Tokens = RecipeTemplate.TokensPerParameter * template.Cost(vocabulary).Parameters };
        template = Limited(template, unique);
        template = Fitted(template);

        progress.Report($"measuring depth {template.Depth}");
        Trial trial = TrialRun.Run(template.Build(), datasets, measuring * (1 - ProbeShare));
        if (goal.Time is { } whole) template = Limited(template with { Tokens = TokensIn(whole, template, trial) }, unique);
        RunPlan plan = RunPlan.Of(template.Build(), datasets);
        reasons.Add($"a step of {template.Batch} × {template.Context} tokens took {trial.StepSeconds * 1000:0.#} ms, an evaluation " +
            $"{trial.EvaluationSeconds:0.00} s");
        return new(
            template.Json(), plan.Parameters, plan.Steps, plan.Tokens, plan.Epochs, Seconds(template, trial), plan.PeakBytes, reasons);
    }

    private RecipeTemplate Begin()
    {
        SourceFormat? corpus = goal.Data switch
        {
            "dotnet-docs" => SourceFormat.DotnetDocs,
            _ => null,
        };
        JsonObject source = corpus is null ? new() { ["path"] = goal.Data } : new() { ["format"] = goal.Data };
        RecipeTemplate template = new()
        {
            Depth = goal.Depth ?? 3, Name = corpus is null ? NameOf(goal.Data) : goal.Data, Source = source, Tokens = 1e6,
            Precision = FasterPrecision(),
        };
        using PreparedData data = DataPreparation.Prepare(template.Build().Data, template.Build().Tokenizer, datasets, progress);
        bool pairs = data.Train.Length >= FewestBytesForPairs;
        reasons.Add($"{data.Train.Length:N0} bytes of text to train on: " +
            (pairs ? $"a vocabulary of {Vocabulary:N0} byte pairs" : "read by its bytes"));
        return template with { Vocabulary = pairs ? Vocabulary : null };
    }

    /// <summary>The model whose tokens in the time come nearest to 20 a parameter, as a ratio.</summary>
    private RecipeTemplate ForTime(RecipeTemplate template, TimeSpan time, double unique, int vocabulary)
    {
        progress.Report("measuring the machine");
        Trial probe = TrialRun.Run(template.Build(), datasets, measuring * ProbeShare);
        double flops = template.StepTokens / probe.StepSeconds * template.Cost(vocabulary).TrainingFlopsPerToken(template.Context);
        (RecipeTemplate Template, double PerParameter) Of(int depth)
        {
            RecipeTemplate deeper = template with { Depth = depth };
            ModelCost cost = deeper.Cost(vocabulary);
            double tokens = time.TotalSeconds * flops / cost.TrainingFlopsPerToken(deeper.Context);
            return (deeper with { Tokens = tokens }, tokens / cost.Parameters);
        }

        (RecipeTemplate best, double perParameter) = Enumerable.Range(1, RecipeTemplate.MostDepth).Select(Of).MinBy(
            each => Math.Abs(Math.Log(each.PerParameter / RecipeTemplate.TokensPerParameter)));
        reasons.Add($"{flops / 1e9:0.#} GFLOP/s in training: depth {best.Depth} sees {perParameter:0.#} tokens a parameter in the time, " +
            $"nearest to {RecipeTemplate.TokensPerParameter}");
        return best;
    }

    /// <summary>No more tokens than are worth reading, and dropout where a text is read often.</summary>
    private RecipeTemplate Limited(RecipeTemplate template, double unique)
    {
        double tokens = Math.Min(template.Tokens, MostEpochs * unique);
        if (tokens < template.Tokens && !reasons.Any(reason => reason.Contains("epochs", StringComparison.Ordinal)))
            reasons.Add($"the text is read for {MostEpochs} epochs, after which more time would teach next to nothing");
        return template with { Tokens = tokens, Epochs = tokens / unique };
    }

    /// <summary>Micro-batches that fit into the memory.</summary>
    private RecipeTemplate Fitted(RecipeTemplate template)
    {
        long most = goal.Memory ?? (long)(0.8 * GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        for (int rows = template.Batch; rows >= 1; rows /= 2)
        {
            RecipeTemplate smaller = template with { MicroBatch = rows };
            if (RunPlan.Of(smaller.Build(), datasets).PeakBytes is not { } peak || peak <= most) return smaller;
        }
        throw new UserException(
            $"a model of depth {template.Depth} takes more than {most >> 20:N0} MiB even with one sequence at a time; give more " +
            "--memory, " +
            (goal.Time is null ? "or a smaller --depth" : "or less --time, for which a smaller model is chosen"));
    }

    // Ten evaluations, as the template has them, and the last.
    private static double Seconds(RecipeTemplate template, Trial trial) =>
        template.StepCount * trial.StepSeconds + 11 * trial.EvaluationSeconds;

    private static double TokensIn(TimeSpan time, RecipeTemplate template, Trial trial) =>
        Math.Max(1, (time.TotalSeconds - 11 * trial.EvaluationSeconds) / trial.StepSeconds) * template.StepTokens;

    private static string NameOf(string path)
    {
        string name = Path.GetFileNameWithoutExtension(path.TrimEnd('/'));
        string allowed = string.Concat(name.Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '-')).Trim('-');
        return allowed.Length == 0 ? "planned" : allowed;
    }

    private Precision FasterPrecision()
    {
        Device device = DeviceSelection.Choose(DeviceChoice.Auto);
        if (device.type == DeviceType.CUDA) return Precision.BFloat16;
        double rounded = PeakFlops.Measure(device, ScalarType.BFloat16), whole = PeakFlops.Measure(device, ScalarType.Float32);
        reasons.Add($"products reach {whole / 1e9:0} GFLOP/s in float32, {rounded / 1e9:0} in bfloat16");
        return rounded > 1.3 * whole ? Precision.BFloat16 : Precision.Float32;
    }
}
