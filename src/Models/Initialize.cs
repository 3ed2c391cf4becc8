using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Initialises weights as GPT-2 (Radford et al. 2019, §2.3).</summary>
/// <remarks>Matrices are normal with deviation 0.02, those that write to the residual stream smaller by √(2·layers), or zero
/// (<see cref="ModelOptions.ResidualInit"/>). Vectors keep their module's values: ones for norms, zeros for biases. Exceptions implement
/// <see cref="IDrawsOwnWeights"/>.</remarks>
internal static class Initialize
{
    private const double Deviation = 0.02;

    /// <summary>Draws all matrices, in the order of their names.</summary>
    public static void Apply(SequenceModel model, Generator? generator = null)
    {
        using var gradients = no_grad();
        double residual = Deviation / Math.Sqrt(2.0 * model.Options.Layers);
        HashSet<string> joining = [.. JoiningResidual(model)];
        Dictionary<string, Action<Tensor, Generator?>> own = OwnWeights(model);
        foreach ((string name, Parameter parameter) in model.named_parameters())
        {
            using DisposeScope scope = NewDisposeScope();
            if (own.TryGetValue(name, out Action<Tensor, Generator?>? draw)) draw(parameter, generator);
            else if (parameter.dim() >= 2) parameter.normal_(0, joining.Contains(name) ? residual : Deviation, generator);
            if (joining.Contains(name) && model.Options.ResidualInit == ResidualInitialization.Zero) parameter.zero_();
        }
    }

    private static Dictionary<string, Action<Tensor, Generator?>> OwnWeights(SequenceModel model) =>
    (
        from module in model.named_modules()
        where module.module is IDrawsOwnWeights
        from weight in ((IDrawsOwnWeights)module.module).OwnWeights
        select (Name: $"{module.name}.{weight.Name}", weight.Draw)
    ).ToDictionary(weight => weight.Name, weight => weight.Draw);

    private static IEnumerable<string> JoiningResidual(SequenceModel model) =>
        from module in model.named_modules()
        let joining = module.module as IJoinsResidual
        where joining?.JoiningWeight is not null
        select $"{module.name}.{joining.JoiningWeight}";
}

/// <summary>A module with weights that <see cref="Initialize"/> does not draw.</summary>
internal interface IDrawsOwnWeights
{
    IEnumerable<(string Name, Action<Tensor, Generator?> Draw)> OwnWeights { get; }
}

/// <summary>A module that writes to the residual stream, and is initialised smaller.</summary>
internal interface IJoinsResidual
{
    string? JoiningWeight { get; } // null if the result goes elsewhere
}
