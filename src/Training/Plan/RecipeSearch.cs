using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Training.Plan;

/// <summary>Writes a recipe for a text and a time: measures machine and text with short runs, and scales them.</summary>
public sealed class RecipeSearch
{
    // Below this size a text is read by its bytes: a larger vocabulary would have too few examples of each token.
    private const long FewestBytesForPairs = 20_000_000;

    private const int Vocabulary = 4096, MostEpochs = 40;

    // Of measuring: what finds the depth; the model of that depth has the rest.
    private const double ProbeShare = 0.1;

    // For a mean time.
    private const int FewestSteps = 8;

    // The steps of the longer trial to those of the shorter: between them one sees how fast the loss falls.
    private const int TrialRatio = 5;

    private readonly RecipeGoal goal;
    private readonly string datasets;
    private readonly IProgress<string> progress;
    private readonly TimeSpan measuring;
    private readonly List<string> reasons = [];
    private readonly Lazy<long> memory = new(() => DeviceSelection.Choose(DeviceChoice.Auto) is { type: DeviceType.CUDA } gpu
        ? CudaDevice.Of(Math.Max(0, gpu.index)).FreeMemory
        : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes); // where the trials run
    private double? flops; // a second, in training
    private TrialRuns? trials;

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
        (template, double unique, int vocabulary) = Measured(template);
        template = goal.Time is { } time
            ? ForTime(template, time, unique, vocabulary)
            : template with { Tokens = RecipeTemplate.TokensPerParameter * template.Cost(vocabulary).Parameters };
        template = Limited(template, unique, vocabulary);
        template = Fitted(template with { MeasuredBatch = template.Batch });
        (template, Trial shorter, Trial trial) = Tried(template, vocabulary);
        if (goal.Time is { } whole) template = Limited(template with { Tokens = TokensIn(whole, template, trial) }, unique, vocabulary);
        RunPlan plan = RunPlan.Of(template.Build(), datasets);
        if (template.Tokens >= MostEpochs * unique)
            reasons.Add($"the text is read for {MostEpochs} epochs, after which more time would teach next to nothing");
        reasons.Add($"a step of {template.Batch} × {template.Context} tokens took {trial.StepSeconds * 1000:0.#} ms, an evaluation " +
            $"{trial.EvaluationSeconds:0.00} s");
        return new(
            template.Json(), plan.Parameters, plan.Steps, plan.Tokens, plan.Epochs, Seconds(template, trial), trial.PeakBytes,
            Loss(template, shorter, trial), reasons);
    }

    /// <summary>null where two runs as short as these do not tell.</summary>
    private double? Loss(RecipeTemplate template, Trial shorter, Trial longer)
    {
        if (template.StepCount <= longer.Steps) return longer.Loss;
        double byHeart = template.Epochs * template.ParametersPerToken;
        bool tooShort = longer.Steps < Math.Max(LossForecast.FewestSteps, LossForecast.LeastShare * template.StepCount);
        if (tooShort || byHeart > LossForecast.MostByHeart)
        {
            reasons.Add("what loss to expect is not known: " + (tooShort
                ? $"{longer.Steps:N0} of {template.StepCount:N0} steps in the time to measure are too few to tell"
                : "the text is short for so large a model, which learns much of it by heart"));
            return null;
        }
        reasons.Add($"validation loss {shorter.Loss:0.000} after {shorter.Steps} steps, {longer.Loss:0.000} after {longer.Steps}");
        double Tokens(long steps) => (double)steps * template.StepTokens;
        return LossForecast.Of(
            (Tokens(shorter.Steps), shorter.Loss), (Tokens(longer.Steps), longer.Loss), Tokens(template.StepCount), byHeart);
    }

    private RecipeTemplate Begin() => new()
    {
        Depth = goal.Depth ?? 3, Name = IsCorpus ? goal.Data : NameOf(goal.Data),
        Source = IsCorpus ? new() { ["format"] = goal.Data } : new() { ["path"] = goal.Data }, Tokens = 1e6, Precision = FasterPrecision(),
    };

    private bool IsCorpus => goal.Data == "dotnet-docs";

    /// <summary>The template with the tokenizer for the text, tokens to train on and kinds of them; a large text is read by byte pairs.</summary>
    private (RecipeTemplate Template, double Unique, int Vocabulary) Measured(RecipeTemplate template)
    {
        (long bytes, int vocabulary) = Prepared(template);
        if (bytes < FewestBytesForPairs)
        {
            reasons.Add($"{bytes:N0} bytes of text to train on: read by its bytes");
            return (template, bytes, vocabulary);
        }
        reasons.Add($"{bytes:N0} bytes of text to train on: a vocabulary of {Vocabulary:N0} byte pairs");
        template = template with { Vocabulary = Vocabulary };
        (long tokens, vocabulary) = Prepared(template);
        return (template, tokens, vocabulary);
    }

    private (long Tokens, int Vocabulary) Prepared(RecipeTemplate template)
    {
        Recipe recipe = template.Build();
        try
        {
            using PreparedData data = DataPreparation.Prepare(recipe.Data, recipe.Tokenizer, datasets, progress);
            return (data.Train.Length, data.Tokenizer.VocabularySize);
        }
        catch (UserException error)
        {
            throw new UserException(error.Message.Replace("data.train.0.path", "--data", StringComparison.Ordinal), error);
        }
    }

    /// <summary>Two short runs of the recipe, in micro-batches that fit into the memory.</summary>
    private (RecipeTemplate Template, Trial Shorter, Trial Longer) Tried(RecipeTemplate template, int vocabulary)
    {
        progress.Report($"measuring depth {template.Depth}");
        flops ??= Flops(template, vocabulary, measuring * ProbeShare);
        double step = StepFlops(template, vocabulary) / flops.Value;
        double evaluation = step * template.EvaluationTokens / template.StepTokens / 3;
        long most = (long)((measuring.TotalSeconds * (1 - ProbeShare) - 2 * evaluation) / step * TrialRatio / (TrialRatio + 1));
        long steps = Math.Clamp(most, Math.Min(FewestSteps, template.StepCount), template.StepCount);
        Trial shorter = Trials.Run(template.Build(Math.Max(1, steps / TrialRatio)));
        if (shorter.PeakBytes > MostMemory) return Tried(Halved(template), vocabulary);
        Trial longer = Trials.Run(template.Build(steps));
        return longer.PeakBytes > MostMemory ? Tried(Halved(template), vocabulary) : (template, shorter, longer);
    }

    // Begins when the products have been measured, which leave something, too.
    private TrialRuns Trials => trials ??= new(datasets);

    private double Flops(RecipeTemplate template, int vocabulary, TimeSpan limit) =>
        StepFlops(template, vocabulary) / Trials.StepSeconds(template.Build(), limit);

    private static double StepFlops(RecipeTemplate template, int vocabulary) =>
        template.StepTokens * template.Cost(vocabulary).TrainingFlopsPerToken(template.Context);

    /// <summary>The model whose tokens in the time come nearest to 20 a parameter, as a ratio.</summary>
    private RecipeTemplate ForTime(RecipeTemplate template, TimeSpan time, double unique, int vocabulary)
    {
        progress.Report("measuring the machine");
        flops = Flops(template, vocabulary, measuring * ProbeShare);
        (RecipeTemplate Template, double PerParameter) Of(int depth)
        {
            RecipeTemplate deeper = template with { Depth = depth };
            ModelCost cost = deeper.Cost(vocabulary);
            double tokens = time.TotalSeconds * flops.Value / cost.TrainingFlopsPerToken(deeper.Context);
            return (deeper with { Tokens = tokens }, tokens / cost.Parameters);
        }

        (RecipeTemplate best, double perParameter) = Enumerable.Range(1, RecipeTemplate.MostDepth).Select(Of).MinBy(
            each => Math.Abs(Math.Log(each.PerParameter / RecipeTemplate.TokensPerParameter)));
        reasons.Add($"{flops.Value / 1e9:0.#} GFLOP/s in training: depth {best.Depth} sees {perParameter:0.#} tokens a parameter in the " +
            $"time, nearest to {RecipeTemplate.TokensPerParameter}");
        return best;
    }

    /// <summary>No more tokens than are worth reading, and dropout where the text would be learned by heart.</summary>
    private static RecipeTemplate Limited(RecipeTemplate template, double unique, int vocabulary)
    {
        double tokens = Math.Min(template.Tokens, MostEpochs * unique);
        return template with
        {
            Tokens = tokens, Epochs = tokens / unique, ParametersPerToken = template.Cost(vocabulary).Parameters / unique,
        };
    }

    /// <summary>Micro-batches that should fit into the memory.</summary>
    private RecipeTemplate Fitted(RecipeTemplate template)
    {
        while (RunPlan.Of(template.Build(), datasets).PeakBytes > MostMemory) template = Halved(template);
        return template;
    }

    private RecipeTemplate Halved(RecipeTemplate template)
    {
        int rows = template.MicroBatch ?? template.Batch;
        return rows > 1 ? template with { MicroBatch = rows / 2 } : throw new UserException(
            $"a model of depth {template.Depth} takes more than {MostMemory >> 20:N0} MiB even with one sequence at a time; give more " +
            "--memory, " +
            (goal.Time is null ? "or a smaller --depth" : "or less --time, for which a smaller model is chosen"));
    }

    private long MostMemory => goal.Memory ?? (long)(0.8 * memory.Value);

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
