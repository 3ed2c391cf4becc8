using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>The tensors of a checkpoint: those that are being trained, or a copy of them at one moment.</summary>
internal sealed class CheckpointTensors : IDisposable
{
    private readonly bool copied;

    private CheckpointTensors(IReadOnlyList<(string Name, Tensor Value)> model, IReadOnlyList<(string Name, Tensor Value)> optimizer, bool copied) =>
        (Model, Optimizer, this.copied) = (model, optimizer, copied);

    /// <summary>Weights and persistent buffers.</summary>
    public IReadOnlyList<(string Name, Tensor Value)> Model { get; }

    /// <summary>The optimizer's state.</summary>
    public IReadOnlyList<(string Name, Tensor Value)> Optimizer { get; }

    /// <summary>Bytes that a copy takes.</summary>
    public long Bytes => Model.Concat(Optimizer).Sum(entry => entry.Value.numel() * entry.Value.element_size());

    /// <summary>The tensors themselves: to be read before the next step.</summary>
    public static CheckpointTensors Of(LanguageModel model, Optimizer optimizer) => new([.. ModelWeights.Of(model)], [.. optimizer.State], copied: false);

    /// <summary>A copy in the computer's own memory, which training does not change.</summary>
    public CheckpointTensors Copy()
    {
        using var quiet = no_grad();
        return new([.. Model.Select(Copy)], [.. Optimizer.Select(Copy)], copied: true);
    }

    /// <summary>Frees a copy; what is being trained belongs to others.</summary>
    public void Dispose()
    {
        if (!copied) return;
        foreach ((_, Tensor value) in Model.Concat(Optimizer)) value.Dispose();
    }

    private static (string Name, Tensor Value) Copy((string Name, Tensor Value) entry)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor value = entry.Value.detach();
        return (entry.Name, (value.device_type == DeviceType.CPU ? value.clone() : value.cpu()).DetachFromDisposeScope());
    }
}
