using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Distributed;
using Trainer.Evaluation;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Training.Losses;
using static TorchSharp.torch;

namespace Trainer.Training.Reinforcement;

/// <summary>What steps of reinforcement need of a run: the model that writes answers and is trained on them, what it is to stay close to
/// (null for nothing), and how many tokens can be drawn.</summary>
internal sealed record Sampling(
    Recipe Recipe, LanguageModel Model, ReferencePolicy? Reference, AnswerGrader Grader, PolicyLoss Loss, int Vocabulary, Device Device,
    IProcessGroup Processes)
{
    public ReinforcementOptions Options => Recipe.Reinforcement!;
}

/// <summary>Rows of answers that the model itself writes to the prompts of the training data, with their advantages. They follow from the
/// run's seed, the step, and the places of prompt and answer in it. Each rank answers its share of the prompts.</summary>
internal sealed class SampledSteps(BatchLoader prompts, Sampling sampling) : StepSource
{
    private const string FileName = "answers.json";

    private StepBatch? held; // what further updates use again
    private int used;

    /// <summary>The steps and the loss of a recipe with reinforcement; takes over the loader, whose rows are prompts.</summary>
    /// <exception cref="UserException">The reference is missing, no token ends answers, or those of the data are too long.</exception>
    public static (StepSource Steps, LossFunction Loss) Open(
        Recipe recipe, LanguageModel model, PreparedData data, BatchLoader prompts, Device device, IProcessGroup processes)
    {
        GrpoOptions options = (GrpoOptions)recipe.Reinforcement!;
        AnswerGrader grader = AnswerGrader.Of(options, data.Tokenizer, recipe.Data);
        grader.RequireShortAnswers(BatchStream.Create(data, recipe.Data, model.ContextLength, recipe.Seed));
        PolicyLoss loss = new(options, grader, data.Tokenizer.VocabularySize);
        ReferencePolicy? reference = options.HasReference ? ReferencePolicy.Open(recipe, data.Tokenizer, device) : null;
        Sampling sampling = new(recipe, model, reference, grader, loss, data.Tokenizer.VocabularySize, device, processes);
        return (new SampledSteps(prompts, sampling), loss);
    }

    public override StreamPosition Position => prompts.Position;

    public override string Description
    {
        get
        {
            (ReinforcementOptions options, int rows) = (sampling.Options, sampling.Recipe.Training.BatchSize);
            return $"reinforcement: {options.Group} answers to each of {rows / options.Group} prompts" +
                (options.Updates > 1 ? $", for {options.Updates} steps" : "") + (sampling.Reference is { } reference
                    ? $"; kept close to {reference.Description}"
                    : "");
        }
    }

    public override StepBatch Next(long step)
    {
        if (held is null || used == sampling.Options.Updates) (held, used) = (Sample(prompts.Next(), step), 0);
        used++;
        return held;
    }

    public override IReadOnlyList<PendingFile> Files()
    {
        IReadOnlyList<PendingFile> files = sampling.Reference is { } reference ? [reference.ToFile()] : [];
        if (held is null || used == sampling.Options.Updates) return files;
        // The weights that wrote them are gone when further updates follow.
        SavedAnswers saved = new(used, [.. held.MicroBatches.Select(SavedBatch.Of)]);
        void Write(string path) => File.WriteAllText(path, JsonSerializer.Serialize(saved, JsonSerializerOptions.Web) + "\n");
        return [.. files, new(FileName, Write)];
    }

    public override void Restore(string directory, StreamPosition position)
    {
        sampling.Reference?.RequireSameAs(directory);
        prompts.Position = position;
        string path = Path.Combine(directory, FileName);
        (held, used) = (null, 0);
        if (!File.Exists(path)) return;
        try
        {
            SavedAnswers saved = JsonSerializer.Deserialize<SavedAnswers>(File.ReadAllText(path), JsonSerializerOptions.Web)
                ?? throw new JsonException("it is empty");
            (held, used) = (new([.. saved.MicroBatches.Select(batch => batch.ToBatch())]), saved.Used);
        }
        catch (Exception error) when (error is IOException or JsonException or FormatException)
        {
            throw new UserException($"{path}: it cannot be read ({error.Message}); use an earlier checkpoint of the run", error);
        }
    }

    public override void Dispose()
    {
        prompts.Dispose();
        sampling.Reference?.Dispose();
    }

    private StepBatch Sample(Batch batch, long step)
    {
        IReadOnlyList<PromptedAnswer> rows = PromptedAnswer.Of(batch, sampling.Grader.End);
        int group = sampling.Options.Group;
        IReadOnlyList<int[]> answers = Answers(rows, step);
        SampledRow[] sampled = new SampledRow[answers.Count];
        double[] rewards = new double[group];
        for (int prompt = 0; prompt < rows.Count; prompt++)
        {
            var grades = answers.Skip(prompt * group).Take(group).Select(answer => sampling.Grader.Grade(answer, rows[prompt])).ToArray();
            for (int i = 0; i < group; i++) rewards[i] = grades[i].Reward;
            double[] advantages = sampling.Options.Advantages(rewards);
            for (int i = 0; i < group; i++)
                sampled[prompt * group + i] = new(
                    rows[prompt].Prompt, answers[prompt * group + i], rewards[i], advantages[i], grades[i].Right);
        }
        return new([.. sampled.Chunk(sampling.Recipe.Training.MicroBatch).Select(part => WithProbabilities(SampledRow.Collate(part)))]);
    }

    // Those of all prompts, one after the other.
    private int[][] Answers(IReadOnlyList<PromptedAnswer> rows, long step)
    {
        IProcessGroup processes = sampling.Processes;
        int group = sampling.Options.Group;
        (int first, int end) = (rows.Count * processes.Rank / processes.Size, rows.Count * (processes.Rank + 1) / processes.Size);
        CompletionSampler sampler = new(sampling.Model, sampling.Device, sampling.Vocabulary, sampling.Grader.End);
        IReadOnlyList<IReadOnlyList<int[]>> own = sampler.Sample(
            [.. Enumerable.Range(first, end - first).Select(prompt => new CompletionRequest(
                rows[prompt].Prompt,
                [.. Enumerable.Range(0, group).Select(sample => SplitMix64.Seed(sampling.Recipe.Seed, step, prompt, sample))]))],
            new SamplingOptions { Temperature = sampling.Options.Temperature }, sampling.Options.MaximumTokens);
        int[][] answers = [.. own.SelectMany(each => each)];
        return processes.Size == 1
            ? answers
            : [.. processes.AllGather(JsonSerializer.Serialize(answers)).SelectMany(part => JsonSerializer.Deserialize<int[][]>(part)!)];
    }

    private Batch WithProbabilities(Batch batch)
    {
        // With one update the model that is trained is the one that wrote the answers, and knows.
        float[]? old = sampling.Options.Updates > 1 ? Gathered(sampling.Model, batch) : null;
        float[]? reference = sampling.Reference is { } other ? Gathered(other.Model, batch) : null;
        return batch with
        {
            Samples = batch.Samples! with { OldLogProbabilities = old, ReferenceLogProbabilities = reference },
        };
    }

    // Each rank computes those of its rows.
    private float[] Gathered(LanguageModel model, Batch batch)
    {
        IProcessGroup processes = sampling.Processes;
        float[] own = sampling.Loss.LogProbabilities(model, batch.Part(processes.Rank, processes.Size), sampling.Device);
        if (processes.Size == 1) return own;
        IReadOnlyList<string> parts = processes.AllGather(Convert.ToBase64String(Floats.ToBytes(own)));
        return [.. parts.SelectMany(part => Floats.FromBytes(Convert.FromBase64String(part)))];
    }

    private sealed record SavedAnswers(int Used, IReadOnlyList<SavedBatch> MicroBatches);

    private sealed record SavedBatch(
        int Rows, int Columns, long[] Inputs, long[] Targets, byte[] Rewards, byte[] Advantages, bool[] Right, byte[]? Old,
        byte[]? Reference, int[]? Lengths = null)
    {
        public static SavedBatch Of(Batch batch)
        {
            SampleRows samples = batch.Samples!;
            return new(
                batch.Rows, batch.Columns, batch.Inputs, batch.Targets, Floats.ToBytes(samples.Rewards), Floats.ToBytes(samples.Advantages),
                samples.Right, samples.OldLogProbabilities is { } old ? Floats.ToBytes(old) : null,
                samples.ReferenceLogProbabilities is { } reference ? Floats.ToBytes(reference) : null, batch.Lengths);
        }

        public Batch ToBatch() => new(Inputs, Targets, Rows, Columns)
        {
            Lengths = Lengths,
            Samples = new(Floats.FromBytes(Rewards), Floats.FromBytes(Advantages), Right)
            {
                OldLogProbabilities = Old is null ? null : Floats.FromBytes(Old),
                ReferenceLogProbabilities = Reference is null ? null : Floats.FromBytes(Reference),
            },
        };
    }
}
