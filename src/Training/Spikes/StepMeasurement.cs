// Shapes: B rows, T positions, C model dimension, V vocabulary.
using System.Text.Json;
using System.Text.Json.Serialization;
using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Data.Shards;
using Trainer.Distributed;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Spikes;

/// <summary>The part of a row that lies in one document: its loss in nats per target there, null without targets.</summary>
internal sealed record DocumentMeasurement(DocumentSpan Span, double? Loss);

/// <summary>A row of a step, from 0: its loss in nats per target, null without targets, and its documents.</summary>
internal sealed record RowMeasurement(int Row, double? Loss, int Targets, IReadOnlyList<DocumentMeasurement> Documents);

/// <summary>A step looked at closely: every row, and every part of the model in the order it ran in.</summary>
internal sealed record StepMeasurement(IReadOnlyList<RowMeasurement> Rows, IReadOnlyList<LayerMeasurement> Layers)
{
    /// <summary>The gradients of the whole step by parameter, in the model's order.</summary>
    public IReadOnlyList<ParameterRecord> Parameters { get; init; } = [];

    private static readonly JsonSerializerOptions Format = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>Puts together what all ranks measured of their rows.</summary>
    public StepMeasurement Gather(IProcessGroup group)
    {
        if (group.Size == 1) return this;
        return Join([.. group.AllGather(JsonSerializer.Serialize(this, Format)).Select(
            part => JsonSerializer.Deserialize<StepMeasurement>(part, Format)!)]);
    }

    /// <summary>Puts parts of a step together, of different rows and the same layers; rows are sorted.</summary>
    public static StepMeasurement Join(IReadOnlyList<StepMeasurement> parts)
    {
        (StepMeasurement Part, int Index)[] rows = [.. parts.SelectMany(part => Enumerable.Range(0, part.Rows.Count).Select(
            index => (part, index))).OrderBy(row => row.part.Rows[row.index].Row)];
        return new(
            [.. rows.Select(row => row.Part.Rows[row.Index])],
            [.. parts[0].Layers.Select((layer, number) => layer with
            {
                Activations = [.. rows.Select(row => row.Part.Layers[number].Activations[row.Index])],
                Gradients = [.. rows.Where(row => row.Part.Layers[number].Gradients.Count > 0).Select(
                    row => row.Part.Layers[number].Gradients[row.Index])],
            })]);
    }
}

/// <summary>Runs rows forward and backward once more, with their dropout, and measures; changes nothing, gradients included.</summary>
internal sealed class StepMeter(
    GradientComputation gradients, SequenceModel model, Device device, TokenShard? shard, double labelSmoothing)
{
    /// <summary>Measures this rank's rows of a step.</summary>
    public StepMeasurement Measure(StepBatch batch, IReadOnlyList<DropoutKey?> dropout)
    {
        List<StepMeasurement> parts = [];
        int first = 0;
        foreach ((Batch whole, DropoutKey? key) in batch.MicroBatches.Zip(dropout))
        {
            if (gradients.Own(whole) is { Rows: > 0 } rows) parts.Add(Measure(rows, key, gradients.Count(batch), first));
            first += whole.Rows;
        }
        return StepMeasurement.Join(parts);
    }

    private StepMeasurement Measure(Batch batch, DropoutKey? key, long count, int first)
    {
        using DisposeScope scope = NewDisposeScope();
        using LayerStatistics statistics = new();
        (_, Tensor objective) = gradients.Forward(batch, key, count, device, observer: statistics, repeats: true);
        // Of the embedding, which every other gradient lies on the way to.
        Differentiation.Grad([objective], [model.parameters().First(p => p.requires_grad)])[0]?.Dispose();
        return new(
            [.. Enumerable.Range(0, batch.Rows).Select(row => batch.Values is null
                ? Row(batch, row, first + batch.FirstRow + row, statistics.Hidden)
                : Row(batch.Part(row, batch.Rows), key, first + batch.FirstRow + row))],
            statistics.Read());
    }

    // A picture or a window, which has no documents.
    private RowMeasurement Row(Batch row, DropoutKey? key, int number)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (Tensor loss, _) = gradients.Forward(row, key, row.TargetTokens, device, repeats: true);
        return new(number, loss.item<float>(), row.TargetTokens, []);
    }

    private RowMeasurement Row(Batch batch, int row, int number, Tensor hidden)
    {
        long[] targets = batch.Targets[(row * batch.Columns)..((row + 1) * batch.Columns)];
        float[] losses = Losses(hidden.select(0, row), targets);
        DocumentSpan[] spans = [.. batch.SpansOf(row).SelectMany(span => shard!.Documents(span))];
        return new(
            number, Mean(0, targets.Length), targets.Length - targets.AsSpan().Count(Batch.Ignored),
            [.. spans.Select(span => new DocumentMeasurement(
                span, span.Tokens.Column is { } column ? Mean(column, span.Tokens.Length) : null))]);

        double? Mean(int from, int count)
        {
            double[] scored = [.. Enumerable.Range(from, count).Where(place => targets[place] != Batch.Ignored).Select(
                place => (double)losses[place])];
            return scored.Length == 0 ? null : scored.Average();
        }
    }

    // (T, C) → (T), in nats
    private float[] Losses(Tensor hidden, long[] targets)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = ((LanguageModel)model).LogitsOf(hidden); // (T, V)
        return nn.functional.cross_entropy(
            logits, tensor(targets).to(device), ignore_index: Batch.Ignored, reduction: nn.Reduction.None, label_smoothing: labelSmoothing)
            .cpu().data<float>().ToArray();
    }
}
