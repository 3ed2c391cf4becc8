// Shapes: E experts, M outputs and K inputs of each.
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>A weight of all experts (E, M, K), with an adapter for each of them.</summary>
internal sealed class ExpertMatrix(ExpertBank bank, string name, int outputs, int inputs) : IAdaptable
{
    private LinearAdapter? adapter;

    /// <summary>The weight's name in the bank.</summary>
    public string Name => name;

    public Parameter Weight => bank.get_parameter(name)!;

    public Tensor EffectiveWeight
    {
        get
        {
            Tensor own = Weight.dtype == ScalarType.Float32 ? Weight : FrozenLinear.Unpacked(Weight, ScalarType.Float32);
            return adapter?.Merge(own) ?? own;
        }
    }

    public int Inputs { get; } = inputs;

    public int Outputs { get; } = outputs;

    /// <summary>Whether the weight is kept rounded where adapters say so: it is not trained.</summary>
    public bool Freezes => !Weight.requires_grad;

    public void Attach(LinearAdapter beside)
    {
        adapter = beside;
        bank.Register(beside);
    }

    // A token's place in the batch is not known where its expert works.
    public void Attach(int slot, LinearAdapter beside) =>
        throw new NotSupportedException("Rows of a batch cannot choose adapters of experts.");

    /// <summary>What the adapter does in one pass; null where there is none.</summary>
    public AdaptedPass? Begin(ScalarType computeType) => adapter is null ? null : new(adapter, computeType);
}

/// <summary>One pass through the adapters of experts.</summary>
internal sealed class AdaptedPass(LinearAdapter adapter, ScalarType computeType)
{
    private readonly Dictionary<LowRankUpdate, LowRankFactors[]> factors = adapter.Parts.ToDictionary(
        part => part, part => part.FactorsOfEach());

    /// <summary>What an expert's matrix gives with its adapter, from its own <paramref name="result"/> (m, M) for x (m, K).</summary>
    public Tensor Apply(Tensor result, Tensor x, LinearWeight weight, int expert) =>
        adapter.Apply(result, x, weight, computeType, context: null, part => factors[part][expert]);
}

/// <summary>Holds the adapters of a bank under one name.</summary>
internal sealed class ExpertAdapters() : nn.Module(nameof(ExpertAdapters));
