// Shapes: K inputs, M outputs of a matrix there, m of a part here, r rank, n adapted parts.
using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Adapters;

/// <summary>What PEFT stores of one matrix, out of the updates of its parts here.</summary>
/// <remarks>Parts that share an A, as those that were read from PEFT, have it once. Else A has those of all parts one below the other, (n·r, K),
/// and B each part's columns in its own rows, zeros elsewhere: the same function at n times the rank.</remarks>
internal sealed class PeftUpdate
{
    private readonly PeftModule module;
    private readonly IReadOnlyList<PeftPart> adapted;
    private readonly LoraOptions options;
    private readonly WeightFiles own;
    private readonly IWeightSource merged;
    private readonly bool shared;

    /// <param name="module">The matrix.</param>
    /// <param name="adapted">Its parts that have an adapter.</param>
    /// <param name="options">Of the adapter.</param>
    /// <param name="own">The adapter's tensors.</param>
    /// <param name="merged">The base's, with the adapter in them.</param>
    public PeftUpdate(PeftModule module, IReadOnlyList<PeftPart> adapted, LoraOptions options, WeightFiles own, IWeightSource merged)
    {
        (this.module, this.adapted, this.options, this.own, this.merged) = (module, adapted, options, own, merged);
        using DisposeScope scope = NewDisposeScope();
        shared = adapted.Count == 1 || adapted.All(part => A(part).Equals(A(adapted[0])));
    }

    public string Module => module.Name;

    /// <summary>Rows of A there.</summary>
    public int Rank => shared ? options.Rank : adapted.Count * options.Rank;

    /// <summary>The alpha by which the factor on B·A stays as it is at <see cref="Rank"/>.</summary>
    public double Alpha => options.Scale * (options.RankStabilized ? Math.Sqrt(Rank) : Rank);

    /// <summary>Its tensors, read when they are written.</summary>
    public IEnumerable<PendingTensor> Tensors(ScalarType type)
    {
        yield return Pending(".lora_A.weight", [Rank, module.Inputs], AllA);
        yield return Pending(".lora_B.weight", [module.Outputs, Rank], AllB);
        if (options.WeightDecomposed) yield return Pending(".lora_magnitude_vector", [module.Outputs], Magnitudes);

        PendingTensor Pending(string name, long[] shape, Func<Tensor> read) => new(
            PeftModules.Prefix + module.Name + name, type, shape, () =>
            {
                using DisposeScope scope = NewDisposeScope();
                return read().to_type(type).MoveToOuterDisposeScope();
            });
    }

    private Tensor AllA() => shared ? A(adapted[0]) : cat([.. adapted.Select(A)], 0);

    private Tensor AllB()
    {
        Tensor all = zeros(module.Outputs, Rank);
        foreach ((int index, PeftPart part) in adapted.Index())
            part.Write(Read(part, AdapterTensors.B), all.narrow(1, shared ? 0 : index * options.Rank, options.Rank));
        return all;
    }

    private Tensor Magnitudes()
    {
        Tensor all = empty(module.Outputs);
        foreach (PeftPart part in module.Parts)
            part.Write(adapted.Contains(part) ? Read(part, AdapterTensors.Magnitude) : Lengths(part.Target), all);
        return all;
    }

    // Of rows without an adapter, which are the base's own and stay as long as they are.
    private Tensor Lengths(AdapterTarget target) =>
        merged.Read(target.Weight).narrow(0, target.First, target.Rows).to_type(ScalarType.Float32).square().sum(-1).sqrt();

    private Tensor A(PeftPart part) => Read(part, AdapterTensors.A);

    private Tensor Read(PeftPart part, string name) => own.Read(AdapterTensors.NameOf(part.Target, name)).to_type(ScalarType.Float32);
}
