using TorchSharp.Modules;
using Trainer.Models;
using OptimizerOptions = Trainer.Training.Optimizers.OptimizerOptions;

namespace Trainer.Training.Distribution;

/// <summary>Which rank updates each of the weights that an optimizer needs whole: the largest first, each goes to the rank that has least,
/// and of several to the first.</summary>
internal static class WeightOwners
{
    /// <summary>Those of a model; empty where any weight may be cut, and without an optimizer that is shared out.</summary>
    public static IReadOnlyDictionary<Parameter, int> Of(SequenceModel model, OptimizerOptions? optimizer, int ranks)
    {
        Dictionary<Parameter, int> owners = new(ReferenceEqualityComparer.Instance);
        if (optimizer is not { NeedsWholeMatrices: true }) return owners;
        IReadOnlyDictionary<string, ParameterRole> roles = model.ParameterLayout().Roles;
        long[] loads = new long[ranks];
        foreach ((_, Parameter weight) in model.named_parameters()
            .Where(entry => entry.parameter.requires_grad && optimizer.NeedsWhole(roles[entry.name], entry.parameter.numel()))
            .OrderByDescending(entry => entry.parameter.numel()))
        {
            int owner = Array.IndexOf(loads, loads.Min());
            loads[owner] += weight.numel();
            owners.Add(weight, owner);
        }
        return owners;
    }
}
