using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

/// <summary>A tensor by name and shape.</summary>
internal sealed record NamedShape(string Name, params long[] Shape);

/// <summary>Makes one tensor of one side out of all tensors of the other.</summary>
/// <param name="sources">The other side's tensors, in the order of the rule.</param>
/// <param name="index">Which tensor of this side to make.</param>
internal delegate Tensor WeightTransform(IReadOnlyList<Tensor> sources, int index);

/// <summary>Tensors of ours and tensors of another layout that hold the same numbers, and how each side is made from the other.</summary>
/// <param name="Ours">Names of this program's modules.</param>
/// <param name="Theirs">Names of the other layout.</param>
/// <param name="ToOurs">From theirs, all float32.</param>
/// <param name="ToTheirs">From ours, all float32.</param>
internal sealed record WeightRule(
    IReadOnlyList<NamedShape> Ours, IReadOnlyList<NamedShape> Theirs, WeightTransform ToOurs, WeightTransform ToTheirs)
{
    /// <summary>Where each of theirs begins, counted in numbers, when each is a run of the numbers of the only one of ours: <see cref="ToTheirs"/> is then
    /// given that run in the shape of theirs, and no more is read. null where it is given all of ours.</summary>
    public IReadOnlyList<long>? Runs { get; init; }
}
