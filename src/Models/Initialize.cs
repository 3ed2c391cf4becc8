using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>The one place where a model's weights get their first values.</summary>
/// <remarks>As GPT-2 (Radford et al. 2019, §2.3): matrices normal with deviation 0.02; those whose result joins the residual stream
/// smaller by √(2·layers), so that the stream's variance does not grow with depth. Vectors keep what their module
/// gives them: ones for the scales of norms, zeros for biases. Modules that want it otherwise say so: <see cref="IDrawsOwnWeights"/>.</remarks>
public static class Initialize
{
    private const double Deviation = 0.02;

    /// <summary>Draws all matrices anew, in the order of their names in the model.</summary>
    /// <param name="model">The model, on any device.</param>
    /// <param name="generator">Where the numbers come from; by default the global generator of the device.</param>
    public static void Apply(LanguageModel model, Generator? generator = null)
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
        }
    }

    private static Dictionary<string, Action<Tensor, Generator?>> OwnWeights(LanguageModel model) =>
    (
        from module in model.named_modules()
        where module.module is IDrawsOwnWeights
        from weight in ((IDrawsOwnWeights)module.module).OwnWeights
        select (Name: $"{module.name}.{weight.Name}", weight.Draw)
    ).ToDictionary(weight => weight.Name, weight => weight.Draw);

    private static IEnumerable<string> JoiningResidual(LanguageModel model) =>
        from module in model.named_modules()
        let joining = module.module as IJoinsResidual
        where joining?.JoiningWeight is not null
        select $"{module.name}.{joining.JoiningWeight}";
}
