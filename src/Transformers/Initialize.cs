using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>The one place where a model's weights get their first values.</summary>
/// <remarks>As GPT-2 (Radford et al. 2019, §2.3): matrices normal with deviation 0.02; those whose result joins the residual stream
/// smaller by √(2·layers), so that the stream's variance does not grow with depth. Vectors keep what their module
/// gives them: ones for the scales of norms, zeros for biases.</remarks>
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
        foreach ((string name, Parameter parameter) in model.named_parameters())
        {
            if (parameter.dim() < 2) continue;
            nn.init.normal_(parameter, 0, joining.Contains(name) ? residual : Deviation, generator);
        }
    }

    private static IEnumerable<string> JoiningResidual(LanguageModel model) =>
        from module in model.named_modules()
        let joining = module.module as IJoinsResidual
        where joining?.JoiningWeight is not null
        select $"{module.name}.{joining.JoiningWeight}";
}
