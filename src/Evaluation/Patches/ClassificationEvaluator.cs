// Shapes: B batch, K classes.
using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Distributed;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Patches;

/// <summary>Measures how often a model of pictures tells their class.</summary>
public sealed class ClassificationEvaluator(SequenceModel model, ImagePreprocessor preprocessor, IProcessGroup? processes = null)
{
    /// <summary>Tells the class of every picture, without dropout; of several processes each computes its share of the batches.</summary>
    public ClassificationReport Evaluate(IReadOnlyList<Batch> batches, Device device, int top = 5)
    {
        IProcessGroup group = processes ?? new SingleProcess();
        int classes = preprocessor.Classes.Count;
        top = Math.Min(top, classes);
        long[] told = new long[classes * classes + 1]; // by class and prediction; and those in the top
        double loss = 0;
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable inference = inference_mode();
        for (int index = group.Rank; index < batches.Count; index += group.Size)
            foreach (ClassPrediction prediction in Predict(batches[index], device, top))
            {
                told[prediction.Target * classes + prediction.Best]++;
                if (prediction.IsInTop) told[^1]++;
                loss -= Math.Log(prediction.TargetProbability);
            }
        told = group.Sum(told);
        using DisposeScope scope = NewDisposeScope();
        Tensor sum = tensor(new[] { loss }, ScalarType.Float64, device);
        group.Sum(sum);
        return new(preprocessor.Classes, told, sum.cpu().item<double>(), top);
    }

    /// <summary>The probabilities of all classes for each row of a batch, in evaluation mode: (B, K).</summary>
    public float[][] Probabilities(Batch batch, Device device)
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, _) = batch.ToTensors(device);
        float[] all = model.call(input).softmax(-1).cpu().data<float>().ToArray(); // (B, K)
        return [.. all.Chunk(preprocessor.Classes.Count)];
    }

    private IEnumerable<ClassPrediction> Predict(Batch batch, Device device, int top) =>
        Probabilities(batch, device).Select((row, index) =>
        {
            int target = (int)batch.Targets[index];
            // Equal ones count as more likely, so that a model that tells nothing apart is not right.
            int before = row.Index().Count(other => other.Index != target && other.Item >= row[target]);
            return new ClassPrediction(target, Array.IndexOf(row, row.Max()), Math.Max(row[target], float.Epsilon), before < top);
        });

    private readonly record struct ClassPrediction(int Target, int Best, double TargetProbability, bool IsInTop);
}

/// <summary>How often classes were told.</summary>
public sealed class ClassificationReport
{
    // Counts by class and prediction, row-major, and behind them those in the top.
    internal ClassificationReport(IReadOnlyList<string> classes, long[] told, double loss, int top)
    {
        Pictures = told[..^1].Sum();
        (Top, InTop, MeanLoss) = (top, (double)told[^1] / Pictures, loss / Pictures);
        int count = classes.Count;
        Accuracy = Enumerable.Range(0, count).Sum(index => (double)told[index * count + index]) / Pictures;
        Classes = [.. classes.Select((name, index) => new ClassFigures(
            name, told.AsSpan(index * count, count).ToArray().Sum(), told[index * count + index],
            [.. Enumerable.Range(0, count).Select(other => told[index * count + other])]))];
    }

    /// <summary>Number of pictures.</summary>
    public long Pictures { get; }

    /// <summary>The share of pictures whose most likely class is theirs, 0 to 1.</summary>
    public double Accuracy { get; }

    /// <summary>How many most likely classes count for <see cref="InTop"/>.</summary>
    public int Top { get; }

    /// <summary>The share of pictures whose class is among the <see cref="Top"/> most likely, 0 to 1.</summary>
    public double InTop { get; }

    /// <summary>The mean of −log p of the class, in nats.</summary>
    public double MeanLoss { get; }

    /// <summary>Figures of each class.</summary>
    public IReadOnlyList<ClassFigures> Classes { get; }
}

/// <summary>A class: its pictures, those of them that were told, and how often each class was told for them, in order.</summary>
public sealed record ClassFigures(string Name, long Pictures, long Right, IReadOnlyList<long> Told)
{
    /// <summary>The share of its pictures that were told, 0 to 1; null without pictures.</summary>
    public double? Accuracy => Pictures == 0 ? null : (double)Right / Pictures;
}
