using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Evaluation;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Reporting.Adapting;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Experiments;
using Trainer.Training.Sweeps;
using static TorchSharp.torch;

namespace Trainer.Training.Adapting;

/// <summary>Finds the variant of a trained model that loses least under a budget of cache: each is trained a little, and measured.</summary>
public sealed class Adaptation
{
    private const int DecodedTokens = 64;

    private readonly AdaptRequest request;
    private readonly Recipe recipe;
    private readonly Checkpoint checkpoint;
    private readonly IProgress<string> progress;

    private Adaptation(AdaptRequest request, IProgress<string> progress)
    {
        (this.request, this.progress) = (request, progress);
        RecordedRun run = RecordedRun.Open(request.Run); // says what is no run
        recipe = request.Settings.Count == 0 ? run.Recipe
            : ConfigurationLoader.Load<Recipe>(Path.Combine(request.Run, CheckpointFiles.Configuration), request.Settings).Value.Resolve();
        if (recipe.Training.Steps != run.Recipe.Training.Steps)
            throw new ConfigurationException([new("training.steps", $"is {recipe.Training.Steps}, but the run has " +
                $"{run.Recipe.Training.Steps}, of which variants are trained a twentieth: give --steps instead")], "command line");
        checkpoint = Checkpoint.Open(request.Run);
        Directory = request.Directory ?? $"{request.Run.TrimEnd('/')}-adapt";
    }

    private string Directory { get; }

    /// <summary>Runs it, or goes on where it was stopped; <paramref name="program"/> is this program's file and first arguments, which its
    /// verb <c>train</c> follows. Returns the directory, the results, and whether all was done before <paramref name="stop"/>.</summary>
    /// <exception cref="ConfigurationException">No variant fits the budget, the context cannot be had, or the settings change the run's
    /// steps; nothing was started.</exception>
    /// <exception cref="UserException">The run cannot be adapted, or the directory is another's.</exception>
    public static (string Directory, AdaptResults Results, bool IsDone) Run(
        AdaptRequest request, IReadOnlyList<string> program, IProgress<string> progress, StopSignal stop) =>
        new Adaptation(request, progress).Run(new TrainProcess(program, jobs: 1, progress), stop);

    private (string Directory, AdaptResults Results, bool IsDone) Run(ISweepWorker worker, StopSignal stop)
    {
        RequireDecoder();
        using PreparedData data = DataPreparation.Prepare(recipe.Data, recipe.Tokenizer, request.DatasetsDirectory, progress);
        IReadOnlyList<AdaptCandidate> candidates = Fitting(data);
        using FileStream held = DirectoryLock.Take(Directory, "another process is adapting in this directory; wait for it to end, or use " +
            "--run and another directory");
        AdaptResults results = Begin(candidates, data);
        foreach ((int index, AdaptCandidate candidate) in candidates.Index().Skip(results.Points.Count))
        {
            string run = Path.Combine(Directory, FormattableString.Invariant($"{index + 1:00}-{Plain(candidate.Name)}"));
            progress.Report($"variant {index + 1} of {candidates.Count}: {candidate.Name}, " +
                $"{HumanFormat.Bytes((long)candidate.CacheBytesPerToken)} a token");
            SaveRecipe(candidate, run);
            WorkerResult trained = worker.Train(run, candidate.Recipe.Training.Steps, stop.Token).GetAwaiter().GetResult();
            if (trained.Stopped) return (Directory, results.WithFront(), false);
            AdaptPoint point = trained.Error is { } error
                ? new(candidate.Name, double.NaN, candidate.CacheBytesPerToken, 0) { Run = run, Error = error.ReplaceLineEndings(" ") }
                : Measure(candidate.Name, run, data);
            results = results with { Points = [.. results.Points, point] };
            results.Save(Directory);
            if (trained.Error is null)
                progress.Report($"  loss {HumanFormat.Loss(point.Loss)} ({results.Change(point):+0.00%;−0.00%}), " +
                    $"{HumanFormat.Compact(point.TokensPerSecond)} tokens/s");
        }
        results = results.WithFront();
        results.Save(Directory);
        AdaptPage.Write(results, Path.Combine(Directory, AdaptPage.FileName));
        return (Directory, results, true);
    }

    private void RequireDecoder()
    {
        if (recipe.Model is not DecoderOptions)
            throw new UserException($"{request.Run}: its architecture is '{ObjectiveValidation.Architecture(recipe.Model)}', and adapt " +
                "is for decoders, whose cache grows with every token");
        if (recipe.Model.PatchInput() is not null)
            throw new UserException($"{request.Run}: it reads pictures or time series, and adapt is for models of texts");
        if (recipe.Adapter is not null)
            throw new UserException($"{request.Run}: it holds an adapter; make a model of it by convert --merge-adapter, and go on from " +
                "that with a recipe of its own (initialize.from)");
        if (recipe.Preference is not null)
            throw new UserException($"{request.Run}: it was trained on preferences, whose loss says nothing of what is forgotten; adapt " +
                "the run that it began with");
    }

    private IReadOnlyList<AdaptCandidate> Fitting(PreparedData data)
    {
        int vocabulary = data.Tokenizer.VocabularySize;
        IReadOnlyList<AdaptCandidate> all = AdaptCandidates.Of(recipe, checkpoint.Directory, request, vocabulary);
        AdaptCandidate[] fitting = [.. all.Where(candidate => candidate.CacheBytesPerToken <= request.CacheBytesPerToken)];
        if (fitting.Length > 0) return fitting;
        string own = HumanFormat.Bytes((long)AdaptCandidates.CacheBytesPerToken(recipe.Model, vocabulary));
        throw new ConfigurationException([new("--cache", all.Count == 0
            ? $"there is nothing to try: the model ({own} a token) has no key-value heads to pool and no layers to give windows to"
            : $"{HumanFormat.Bytes((long)request.CacheBytesPerToken)} a token is less than any variant takes (the model has {own}, the " +
                $"smallest variant {HumanFormat.Bytes((long)Math.Ceiling(all.Min(candidate => candidate.CacheBytesPerToken)))}); give more")],
            "command line");
    }

    /// <summary>What was measured before, or the original alone.</summary>
    private AdaptResults Begin(IReadOnlyList<AdaptCandidate> candidates, PreparedData data)
    {
        int context = candidates[0].Recipe.Model.ContextLength;
        long steps = candidates[0].Recipe.Training.Steps;
        if (AdaptResults.IsIn(Directory))
        {
            AdaptResults before = AdaptResults.Load(Directory);
            string[] names = [.. candidates.Select(candidate => candidate.Name)];
            bool isSame = before.Sha256 == checkpoint.WeightsSha256 && before.Context == context && before.Steps == steps
                && before.Settings.SequenceEqual(request.Settings)
                && before.Points.Select(point => point.Name).SequenceEqual(names.Take(before.Points.Count));
            return isSame ? before with { Budget = request.CacheBytesPerToken, MaxLoss = request.MaxLoss } : throw new UserException(
                $"{Directory}: it holds the variants of {before.Source} for {before.Context} tokens, {before.Steps} steps, a cache of " +
                $"{HumanFormat.Bytes((long)before.Budget)} a token and the settings '{string.Join(' ', before.Settings)}'; give another directory to --run");
        }
        progress.Report($"{checkpoint.Directory}: measuring the model as it is");
        AdaptPoint original = Measure("as it is", request.Run, data);
        AdaptResults results = new()
        {
            Source = checkpoint.Directory,
            Sha256 = checkpoint.WeightsSha256,
            Budget = request.CacheBytesPerToken,
            Context = context,
            MaxLoss = request.MaxLoss,
            Steps = steps,
            Settings = request.Settings,
            Original = original,
            Points = [],
        };
        results.Save(Directory);
        return results;
    }

    /// <summary>Loss on the run's validation rows, and speed at the end of the context.</summary>
    private AdaptPoint Measure(string name, string run, PreparedData data)
    {
        Checkpoint found = Checkpoint.Open(run);
        Device device = DeviceSelection.Choose(recipe.Training.Device);
        using LanguageModel model = found.LoadModel(device, Losses.FrozenModel.PrecisionOf(recipe));
        int context = found.Model.ContextLength;
        LossReport report = LossEvaluator.Evaluate(model, Rows(recipe, data, context, model.PrefixLength), device);
        int decoded = Math.Min(DecodedTokens, context / 2);
        long[] prompt = new long[Math.Min(context - decoded, data.Validation.Length)];
        data.Validation.Read(0, prompt);
        double speed = DecodingSpeed.Measure(model, device, [.. prompt.Select(id => (int)id)], decoded);
        return new(name, report.MeanLoss, AdaptCandidates.CacheBytesPerToken(found.Model, model.VocabularySize), speed) { Run = run };
    }

    /// <summary>As many tokens of the validation data as the recipe measures, at another context, and as many at once as a micro-batch has,
    /// which does not choose the rows.</summary>
    internal static ValidationSet Rows(Recipe recipe, PreparedData data, int context, int prefixLength)
    {
        long tokens = (long)recipe.Evaluation.Batches * recipe.Training.BatchSize * recipe.Model.ContextLength;
        int rows = (int)Math.Clamp(tokens / context, 1, int.MaxValue);
        long atOnce = (long)recipe.Training.MicroBatch * recipe.Model.ContextLength / context;
        return ValidationSet.Create(data, recipe.Data, context, rows, batches: 1, prefixLength).InBatchesOf((int)Math.Max(1, atOnce));
    }

    private static void SaveRecipe(AdaptCandidate candidate, string run)
    {
        string path = Path.Combine(System.IO.Directory.CreateDirectory(run).FullName, CheckpointFiles.Configuration);
        if (!File.Exists(path)) DurableFile.Replace(path, ConfigurationJson.Serialize(candidate.Recipe) + "\n");
    }

    private static string Plain(string name) =>
        new([.. name.Replace(", ", "-", StringComparison.Ordinal).Select(c => char.IsAsciiLetterOrDigit(c) || c == '-' ? c : '-')]);
}
