// Shapes: R rows.
using System.Text.Json;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Evaluation.Preferences;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Training.Distribution;
using Trainer.Training.Losses;
using static TorchSharp.torch;

namespace Trainer.Training.Preferences;

/// <summary>The model that preferences are compared with, frozen: <c>reference.json</c> of a run's checkpoints says which. What it finds of
/// the answers is computed once and kept with the prepared data.</summary>
internal sealed class ReferenceModel : IDisposable
{
    private const string FileName = "reference.json", Setting = "preference.reference";

    private readonly FrozenModel identity;
    private readonly PreparedData data;
    private readonly Scored scores;

    private ReferenceModel(FrozenModel identity, LanguageModel? model, PreparedData data, Scored scores) =>
        (this.identity, Model, this.data, this.scores) = (identity, model, data, scores);

    /// <summary>The model itself, where the loss needs it while it trains.</summary>
    public LanguageModel? Model { get; }

    /// <summary>A line for the log.</summary>
    public string Description => $"preference: compared with {identity.Model} (SHA-256 {identity.Sha256[..12]}…)";

    /// <summary>Operations of one of its tokens while training; 0 where all was computed before.</summary>
    public double FlopsPerToken(int length) =>
        Model is null ? 0 : ModelCost.Of(Model.Options, Model.VocabularySize).ForwardFlopsPerToken(length);

    /// <summary>The reference of a recipe with preferences; null where its method has none.</summary>
    /// <exception cref="UserException">It is missing, does not fit the recipe, or is not the one of the run that is resumed.</exception>
    public static ReferenceModel? Open(Recipe recipe, PreparedData data, Device device, ResumePoint? from, Ranks ranks)
    {
        if (recipe.Preference is not { HasReference: true } options) return null;
        Checkpoint checkpoint = FrozenModel.Find(
            options.ReferenceModel is null ? "initialize.from" : Setting, options.ReferenceModel ?? recipe.Initialize!.From, recipe,
            data.Tokenizer);
        FrozenModel identity = FrozenModel.Of(checkpoint);
        if (from is not null) identity.RequireSameAs(Path.Combine(from.Directory, FileName), Setting, "been compared with");
        ReferenceScoring scoring = new(recipe, data, device, checkpoint, ranks.Report);
        try
        {
            // The first rank scores; the others read what it has written.
            ranks.FromFirst(() => { scoring.FindOrCompute(); return null; });
            Scored scores = scoring.FindOrCompute();
            return new(identity, options.KeepsReference ? scoring.Model : null, data, scores);
        }
        finally
        {
            if (!options.KeepsReference) scoring.Dispose();
        }
    }

    /// <summary>The summed logarithms of the probabilities of a batch's answers: (R, 2), float32, on the device.</summary>
    public Tensor Scores(Batch batch, Device device)
    {
        PreferencePairs pairs = batch.Pairs ?? throw new ArgumentException("The batch has no preferences.", nameof(batch));
        float[] table = ReferenceEquals(pairs.Shard, data.Train) ? scores.Train
            : ReferenceEquals(pairs.Shard, data.Validation) ? scores.Validation
            : throw new ArgumentException("The batch is of other data.", nameof(batch));
        float[] found = [.. pairs.Numbers.SelectMany(pair => new[] { table[2 * pair], table[2 * pair + 1] })];
        return tensor(found, [pairs.Numbers.Count, 2]).ToDevice(device);
    }

    /// <summary>The file to write into checkpoints.</summary>
    public PendingFile ToFile() => identity.ToFile(FileName);

    public void Dispose() => Model?.Dispose();
}

/// <summary>Scores of both splits, two numbers for each pair, in the order of their shards; 0 for answers that are left out.</summary>
internal sealed record Scored(float[] Train, float[] Validation);

/// <summary>Computes what a reference finds of all answers, or reads what was computed before.</summary>
internal sealed class ReferenceScoring(Recipe recipe, PreparedData data, Device device, Checkpoint checkpoint, Action<string> log)
    : IDisposable
{
    private LanguageModel? model;

    /// <summary>The model, loaded when it is first asked for.</summary>
    public LanguageModel Model => model ??= FrozenModel.Load(checkpoint, recipe, device);

    // Rows depend on the context and on truncation, their scores on the number format.
    private string CachePath => Path.Combine(data.Directory, string.Join('-',
        "reference", FrozenModel.IdentityOf(checkpoint)[..16], recipe.Model.ContextLength, (recipe.Data.Chat ?? new()).Truncation,
        FrozenModel.PrecisionOf(recipe)).ToLowerInvariant() + ".json");

    public Scored FindOrCompute()
    {
        if (TryRead() is { } found) return found;
        long pairs = PreferenceBatches.Count(data.Train) + PreferenceBatches.Count(data.Validation);
        log($"scoring the answers of {pairs:N0} pairs with {checkpoint.Directory}");
        Scored computed = new(Compute(data.Train), Compute(data.Validation));
        DurableFile.Replace(CachePath, JsonSerializer.Serialize(computed));
        return computed;
    }

    public void Dispose() => model?.Dispose();

    private Scored? TryRead()
    {
        try
        {
            if (!File.Exists(CachePath)) return null;
            Scored? read = JsonSerializer.Deserialize<Scored>(File.ReadAllText(CachePath));
            return read is { Train: not null, Validation: not null }
                && read.Train.Length == 2 * PreferenceBatches.Count(data.Train)
                && read.Validation.Length == 2 * PreferenceBatches.Count(data.Validation) ? read : null;
        }
        catch (Exception error) when (error is JsonException or IOException)
        {
            log($"{CachePath} cannot be read ({error.Message}); the answers are scored again");
            return null;
        }
    }

    private float[] Compute(TokenShard shard)
    {
        float[] scores = new float[2 * PreferenceBatches.Count(shard)];
        LanguageModel scorer = Model; // loaded outside of the scopes below
        foreach (Batch batch in PreferenceBatches.All(shard, recipe.Data, recipe.Model.ContextLength, recipe.Training.MicroBatch))
        {
            using DisposeScope scope = NewDisposeScope();
            float[] found = AnswerScores.Of(scorer, batch, device).LogProbability.cpu().data<float>().ToArray();
            for (int row = 0; row < batch.Rows; row++) found.AsSpan(2 * row, 2).CopyTo(scores.AsSpan((int)(2 * batch.Pairs!.Numbers[row])));
        }
        return scores;
    }
}
