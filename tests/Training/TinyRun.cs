using System.Text;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Distributed;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Devices;
using Trainer.Reporting.Monitoring;
using Trainer.Tests;
using Trainer.Training.Distribution;
using Trainer.Training.Losses;
using Trainer.Training.Optimizers;
using Trainer.Training.Preferences;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>A recipe that trains in milliseconds, on a text of its own in a directory of its own.</summary>
internal sealed class TinyRun : IDisposable
{
    public const int Context = 16;

    private readonly TemporaryDirectory directory = new();
    private PreparedData? data;

    public TinyRun(int characters = 2000, double dropout = 0.1)
    {
        TextPath = Path.Combine(directory.Path, "text.txt");
        File.WriteAllText(TextPath, Text(characters));
        Recipe = new Recipe
        {
            Name = "tiny",
            Seed = 7,
            Model = new DecoderOptions
            {
                Dim = 16,
                Layers = 2,
                ContextLength = Context,
                Dropout = dropout,
                Attention = new MultiHeadOptions { Heads = 2 },
            },
            Tokenizer = new ByteTokenizerOptions(),
            Data = new DataOptions { Train = [new SourceOptions { Path = TextPath }] },
            Training = new TrainingOptions { Steps = 12, BatchSize = 16, MicroBatchSize = 8, Device = DeviceChoice.Cpu },
            Optimizer = new AdamWOptions { LearningRate = 3e-3 },
            Schedule = new CosineSchedule { WarmupSteps = 2, MinimumLearningRate = 1e-4 },
            Evaluation = new EvaluationOptions { Every = 4, Batches = 2 },
            Checkpoint = new CheckpointOptions { Every = 5, Keep = 100 },
            Monitoring = new MonitoringOptions { LogEvery = 1, TensorBoard = false },
        };
    }

    public string Root => directory.Path;

    public string TextPath { get; }

    public Recipe Recipe { get; set; }

    /// <summary>What the recipe trains on, prepared once.</summary>
    public PreparedData Data => data ??= Prepare();

    public List<string> Progress { get; } = [];

    public string RunPath(string name = "run") => Path.Combine(Root, name);

    public CheckpointStore Store(string name = "run") => new(Path.Combine(RunPath(name), "checkpoints"));

    public TrainingResult Train(string name = "run", bool resume = false, IMetricsSink? sink = null, StopSignal? stop = null, long? until = null)
    {
        using StopSignal never = new();
        return TrainingSession.Run(
            new TrainingRequest(Recipe, RunPath(name), resume, Path.Combine(Root, "datasets")) { Until = until },
            run => RunMonitor.Open(Recipe.Monitoring, run, RunPath(name), sink ?? new RecordingSink()),
            new Lines(Progress.Add), stop ?? never);
    }

    public PreparedData Prepare() => DataPreparation.Prepare(Recipe.Data, Recipe.Tokenizer, Path.Combine(Root, "datasets"));

    public TrainState NewState() => NewState(Data);

    public TrainState NewState(PreparedData data, IProcessGroup? processes = null) =>
        NewState(Recipe.Resolve(), data, new Ranks(new SingleProcess(), new Lines(Progress.Add)), processes);

    private static TrainState NewState(Recipe recipe, PreparedData data, Ranks ranks, IProcessGroup? processes) =>
        new(InitialWeights.Build(recipe, data.Tokenizer, CPU, _ => { }), recipe, data, CPU, processes,
            Teacher.Open(recipe, data, CPU, ranks), ReferenceModel.Open(recipe, data, CPU, null, ranks));

    /// <summary>Fails where tensors outlive the steps that made them.</summary>
    public void RequireNoLeak(int steps = 20)
    {
        using TrainState state = NewState();
        TakeSteps(3);
        long live = LiveTensors.Count();
        TakeSteps(steps);
        Assert.InRange(LiveTensors.Count(), 0, live);

        void TakeSteps(int count)
        {
            for (int step = 0; step < count; step++) state.TakeStep(1e-3);
            Finalizers.Run();
        }
    }

    public string ConfigurationError() => Assert.Throws<ConfigurationException>(
        () => ConfigurationJson.Deserialize<Recipe>(ConfigurationJson.Serialize(Recipe), "test")).Message;

    public void Dispose()
    {
        data?.Dispose();
        directory.Dispose();
    }

    /// <summary>The gradients of a model, one parameter after the other.</summary>
    public static float[] Gradient(SequenceModel model) => [.. model.parameters().SelectMany(p => p.grad!.data<float>().ToArray())];

    /// <summary>Words from a small vocabulary in an irregular order: something to learn, and no two windows the same.</summary>
    private static string Text(int characters)
    {
        string[] words = ["the ", "cat ", "sat ", "on ", "a ", "mat, ", "and ", "ran. "];
        StringBuilder text = new();
        for (uint i = 1; text.Length < characters; i++) text.Append(words[(i * 2654435761u >> 13) % 8]);
        return text.ToString(0, characters);
    }

    private sealed class Lines(Action<string> report) : IProgress<string>
    {
        public void Report(string value) => report(value);
    }
}
