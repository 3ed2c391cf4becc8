using System.Text.Json;
using Trainer.Data;
using Trainer.Models.FeedForward.Experts;
using Trainer.Training.Optimizers;
using Trainer.Training.Spikes;
using Trainer.Training.Tests.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Spikes;

public sealed class SkipRecorderTests : IDisposable
{
    private const int Poisoned = 57; // its line

    private readonly TinyRun tiny = new(characters: 8_000);

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void A_poisoned_document_is_skipped_and_named()
    {
        Poison();
        tiny.Recipe = tiny.Recipe with
        {
            Model = tiny.Recipe.Model with { Dropout = 0 },
            Training = tiny.Recipe.Training with { Steps = 240, BatchSize = 4, MicroBatchSize = 4, Spikes = new() { Deviations = 4.5, Window = 32 } },
            Optimizer = new AdamWOptions { LearningRate = 5e-3 },
            Evaluation = new EvaluationOptions { Every = 0, Batches = 1 },
            Checkpoint = new CheckpointOptions { Every = 0 },
        };
        RecordingSink sink = new();

        tiny.Train(sink: sink);

        StepRecord[] records = Records();
        Assert.Contains(records, record => record.Spike!.Figure == "loss");
        Assert.Equal(records.Length, sink.Steps[^1].SpikeSteps);
        Assert.All(records, record =>
        {
            Assert.Equal("spike", record.Skipped);
            Assert.Equal(record.Spike!.Value, record.Spike.Figure == "loss" ? record.Loss : record.GradientNorm);
            if (record.Spike.Figure != "loss") return; // a norm may rise without a bad document
            DocumentRecord worst = record.Worst!;
            Assert.Equal((tiny.TextPath + "l", "line", Poisoned), (worst.Place!.Source, worst.Place.Unit, worst.Place.Number));
            Assert.Contains('\u0001', worst.Place.Text);
            Assert.True(worst.Loss > 1.3 * record.Loss, $"{worst.Loss} of {record.Loss}");
            // The rows' losses make the step's.
            Assert.Equal(record.Loss, record.Rows.Sum(row => row.Loss!.Value * row.Targets) / record.Rows.Sum(row => row.Targets), 1e-5);
            Assert.Equal(Enumerable.Range(0, 4), record.Rows.Select(row => row.Row).Order());
            Assert.Equal(record.GradientNorm, TensorFigures.Of([.. record.Parameters.Select(p => p.Gradient)]).Norm, 1e-5);
            Assert.Contains(SkipRecorder.Findings(record), finding => finding.StartsWith($"{record.WorstParameters.First().Name} has"));
            Assert.All(record.Layers, layer => Assert.True(
                layer is { Activations: { Norm: > 0, NonFinite: 0 }, Gradients: { Norm: > 0, Largest: > 0, NonFinite: 0 } }, layer.Name));
        });
        Assert.Contains(sink.Messages, line => line.Contains($"{tiny.TextPath}l, line {Poisoned} in it"));

        StepRecord found = records.First(record => record.Spike!.Figure == "loss");
        StepReplayRequest request = new(tiny.RunPath(), found.Step, Path.Combine(tiny.Root, "datasets"));
        StepRecord replayed = StepRecord.FromJson(StepReplay.Run(request, new Progress<string>()).Json);
        Assert.Equal(("spike", found.Spike, found.Worst), (replayed.Skipped, replayed.Spike, replayed.Worst));
        Assert.Equal(found.OutOfRange, replayed.OutOfRange);
        Assert.Equal(found.Layers, replayed.Layers);
    }

    [Theory]
    [InlineData(8, 1, "in row 8: too large")]
    [InlineData(9, 1, "in row 9, b.jsonl, line 5 in it (2.5000): too large")]
    [InlineData(9, 2, "in every row: too large")]
    public void The_document_of_a_row_out_of_range_is_named_once(int row, int rows, string where)
    {
        DocumentRecord Document(string source, int line, double loss) =>
            new(line - 1, 16, loss, new(line - 1, source, "line", line, null, 0, ""));
        StepRecord record = new()
        {
            Step = 3, Skipped = null, Loss = 2.5, GradientNorm = 1, Spike = null, Layers = [], Parameters = [],
            OutOfRange = new("blocks.1.mixer", "forward", row, rows, "too large"),
            Rows = [new(8, 3, 32, [Document("a.jsonl", 4, 3)]), new(9, 2, 32, [Document("b.jsonl", 1, 1.5), Document("b.jsonl", 5, 2.5)])],
        };

        Assert.Equal(
            [
                "row 8 has the highest loss (3.0000), a.jsonl, line 4 in it (3.0000)",
                $"numbers first leave their range in blocks.1.mixer (forward), {where}",
            ],
            SkipRecorder.Findings(record));
    }

    [Theory]
    [InlineData(float.PositiveInfinity, "blocks.1.mixer")]
    [InlineData(1e30f, "blocks.1.mixer")]
    public void A_weight_that_is_out_of_range_is_found_in_its_layer(float value, string layer)
    {
        using TrainState state = tiny.NewState();
        using (no_grad())
        {
            (string name, TorchSharp.Modules.Parameter weight) = state.Model.named_parameters().First(
                p => p.name.StartsWith(layer) && p.name.EndsWith("output.weight"));
            weight[3, 5] = value;
        }
        state.TakeStep(1e-3);

        OutOfRange found = OutOfRange.Find(state.MeasureLastStep())!;

        Assert.Equal((layer, "forward", 16), (found.Layer, found.Pass, found.Rows));
    }

    [Fact]
    public void Measuring_changes_nothing_about_the_run()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Model = tiny.Recipe.Model with { FeedForward = new ExpertsOptions { Experts = 4, Active = 2, Balance = new BiasBalanceOptions() } },
        };
        float[] plain = Weights(measure: false), measured = Weights(measure: true);
        Assert.Equal(plain, measured);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Rows_and_layers_are_those_of_the_step_however_it_was_computed(bool checkpointing)
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { ActivationCheckpointing = checkpointing } };
        using TrainState state = tiny.NewState();
        state.TakeStep(0); // no weight decay either: the weights stay
        StepMeasurement step = state.MeasureLastStep();

        Assert.Equal(
            ["embedding", "blocks.0.mixerNorm", "blocks.0.mixer", "blocks.0.feedForwardNorm", "blocks.0.feedForward", "blocks.0",
                "blocks.1.mixerNorm", "blocks.1.mixer", "blocks.1.feedForwardNorm", "blocks.1.feedForward", "blocks.1", "norm"],
            step.Layers.Select(layer => layer.Name));
        Assert.All(step.Layers, layer => Assert.Equal((16, 16), (layer.Activations.Count, layer.Gradients.Count)));
        Assert.Equal(state.Read().Loss, step.Rows.Average(row => row.Loss!.Value), 1e-5);
    }

    [Fact]
    public void Ranks_measure_their_rows_and_put_them_together()
    {
        tiny.Recipe = tiny.Recipe with { Model = tiny.Recipe.Model with { Dropout = 0 } };
        StepMeasurement alone;
        using (TrainState state = tiny.NewState())
        {
            state.TakeStep(0);
            alone = state.MeasureLastStep();
        }

        _ = tiny.Data;
        Lock building = new(); // seeds belong to the whole process
        StepMeasurement[] ranks = ThreadRanks.Run(2, group =>
        {
            TrainState state;
            lock (building) state = tiny.NewState(tiny.Data, group);
            using (state)
            {
                state.TakeStep(0);
                return state.MeasureLastStep();
            }
        });

        Assert.All(ranks, step =>
        {
            Assert.Equal(alone.Rows.Select(row => row.Row), step.Rows.Select(row => row.Row));
            foreach ((RowMeasurement one, RowMeasurement other) in alone.Rows.Zip(step.Rows))
            {
                Assert.Equal(one.Documents.Select(document => document.Span), other.Documents.Select(document => document.Span));
                Assert.Equal(one.Loss!.Value, other.Loss!.Value, 1e-5);
            }
            foreach ((LayerMeasurement one, LayerMeasurement other) in alone.Layers.Zip(step.Layers))
                Assert.All(one.Gradients.Zip(other.Gradients), pair => Assert.Equal(pair.First.Norm, pair.Second.Norm, 1e-6));
        });
    }

    [Fact]
    public void Steps_that_are_not_finite_are_recorded_too_and_only_the_newest_records_are_kept()
    {
        for (int step = 1; step <= SkipRecorder.Kept; step++)
        {
            Directory.CreateDirectory(Folder);
            File.WriteAllText(Path.Combine(Folder, $"step-{step:D8}.json"), "{}");
        }
        using TrainState state = tiny.NewState();
        using (no_grad()) state.Model.parameters().First()[Token(state)] = float.NaN;
        SkipRecorder recorder = new(
            state, new(tiny.Data, tiny.Recipe.Data, tiny.Recipe.Tokenizer, Path.Combine(tiny.Root, "datasets")), Folder, _ => { });
        for (int i = 0; i < SkipRecorder.Kept + 1; i++) state.TakeStep(1e-3);

        recorder.Record(state.Read(), state.Spike);

        string[] files = [.. Directory.GetFiles(Folder).Select(file => Path.GetFileName(file)).Order()];
        Assert.Equal((SkipRecorder.Kept, "step-00000002.json", "step-00000101.json"), (files.Length, files[0], files[^1]));
        StepRecord record = StepRecord.FromJson(File.ReadAllText(Path.Combine(Folder, files[^1])));
        Assert.Equal(("not finite", double.NaN, "embedding"), (record.Skipped, record.Loss, record.OutOfRange!.Layer));
        Assert.Equal(double.NaN, record.Rows[0].Loss);
        Assert.Equal(state.Model.named_parameters().Select(p => p.name), record.Parameters.Select(parameter => parameter.Name));
        Assert.All(record.Parameters, parameter => Assert.True(parameter.Gradient.NonFinite > 0, parameter.Name));
        int count = record.Parameters.Count;
        Assert.Contains(SkipRecorder.Findings(record), finding => finding.StartsWith($"the gradients of {count} of {count} parameters"));
    }

    private string Folder => Path.Combine(tiny.RunPath(), "spikes");

    private StepRecord[] Records() =>
        [.. Directory.GetFiles(Folder, "*.json").Order().Select(file => StepRecord.FromJson(File.ReadAllText(file)))];

    // A token of the text, so that rows with it are not finite.
    private static long Token(TrainState state) => 't';

    private float[] Weights(bool measure)
    {
        using TrainState state = tiny.NewState();
        for (int i = 0; i < 4; i++)
        {
            state.TakeStep(i == 2 ? 0 : 1e-3); // measured where the weights stay
            if (measure && i == 2) state.MeasureLastStep();
        }
        return [.. state.Model.parameters().SelectMany(p => p.data<float>().ToArray()),
            .. state.Model.buffers().SelectMany(b => b.to_type(ScalarType.Float32).data<float>().ToArray())];
    }

    /// <summary>The text as JSON lines, one of which is bytes that repeat.</summary>
    private void Poison()
    {
        string text = File.ReadAllText(tiny.TextPath);
        string[] lines = [.. text.Chunk(100).Select(part => new string(part))];
        lines[Poisoned - 1] = string.Concat(Enumerable.Repeat("\u0001\u007f\u0002", 66));
        File.WriteAllLines(tiny.TextPath + "l", lines.Select(line => JsonSerializer.Serialize(new { text = line })));
        tiny.Recipe = tiny.Recipe with
        {
            Data = new DataOptions { Train = [new SourceOptions { Path = tiny.TextPath + "l", Format = SourceFormat.JsonLines }] },
        };
    }
}
