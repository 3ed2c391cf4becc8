using System.Text.Json;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Distributed;
using Trainer.Models;
using Trainer.Training.Distribution;

namespace Trainer.Training.Spikes;

/// <summary>A parameter's gradient in one step, summed over micro-batches, threads and ranks, before clipping.</summary>
internal sealed record ParameterRecord(string Name, TensorFigures Gradient);

/// <summary>Measures the gradients that a step would update the parameters by.</summary>
internal static class ParameterGradients
{
    /// <summary>The gradients that the model's parameters have now, in the model's order; those without one, such as frozen ones, are left
    /// out. On all ranks.</summary>
    public static IReadOnlyList<ParameterRecord> Measure(SequenceModel model, GradientExchange? exchange)
    {
        (string Name, Parameter Value)[] parameters = [.. model.named_parameters()];
        if (exchange?.Shards is not { } shards) return Measure(parameters);
        // Each rank has the sums of its share alone, which may be a piece of a parameter.
        ILookup<string, TensorFigures> pieces = exchange.Group.AllGather(JsonSerializer.Serialize(Measure(shards.Parameters)))
            .SelectMany(rank => JsonSerializer.Deserialize<ParameterRecord[]>(rank)!)
            .ToLookup(piece => piece.Name, piece => piece.Gradient);
        return [.. parameters.Where(parameter => pieces.Contains(parameter.Name)).Select(
            parameter => new ParameterRecord(parameter.Name, TensorFigures.Of([.. pieces[parameter.Name]])))];
    }

    private static ParameterRecord[] Measure(IEnumerable<(string Name, Parameter Value)> parameters)
    {
        List<ParameterRecord> measured = [];
        foreach ((string name, Parameter value) in parameters)
        {
            using torch.Tensor? gradient = value.grad;
            if (gradient is not null) measured.Add(new(name, TensorFigures.Of(gradient)));
        }
        return [.. measured];
    }
}
