using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Changes parameters along their gradients, and owns the state it needs for it.</summary>
/// <param name="groups">The parameters, by how they are treated.</param>
public abstract class Optimizer(ParameterGroups groups) : IDisposable
{
    /// <summary>The parameters, by how they are treated.</summary>
    public ParameterGroups Groups { get; } = groups;

    /// <summary>The groups for the log, a line each.</summary>
    public abstract IReadOnlyList<string> Description { get; }

    /// <summary>The state by name, as it goes into <c>optimizer.safetensors</c>; owned by the optimizer.</summary>
    public abstract IEnumerable<(string Name, Tensor Value)> State { get; }

    /// <summary>Updates all parameters that have a gradient, in place.</summary>
    /// <param name="learningRate">The learning rate of this step.</param>
    /// <param name="skip">A float32 scalar on the parameters' device: where it is 1, nothing changes, the optimizer's
    /// state included, and no value is read back to the host.</param>
    /// <param name="only">The parameters to update, where threads share them out; null for all.</param>
    public abstract void Step(double learningRate, Tensor skip, IReadOnlySet<Parameter>? only = null);

    /// <summary>Saves the state.</summary>
    /// <param name="path">The file to write.</param>
    public void Save(string path) => TensorFile.Save(path, State);

    /// <summary>Replaces the state by a saved one.</summary>
    /// <param name="path">A file written by <see cref="Save"/> for the same parameters.</param>
    /// <exception cref="UserException">Names or shapes differ; the message lists them.</exception>
    public void Load(string path) => TensorFile.Load(path, [.. State], "the optimizer");

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((_, Tensor value) in State) value.Dispose();
        GC.SuppressFinalize(this);
    }
}
