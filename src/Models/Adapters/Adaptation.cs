using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models.Adapters;

/// <summary>Adds adapters to a model, and freezes all else.</summary>
internal static class Adaptation
{
    /// <summary>Adds adapters that change nothing yet, drawn from libtorch's generator; only they, and what the options name, keep
    /// gradients.</summary>
    /// <exception cref="ConfigurationException">A name of the options is not the model's, or a rank is more than a matrix's.</exception>
    public static void Apply(SequenceModel model, AdapterOptions options)
    {
        IReadOnlyList<AdapterTarget> targets = AdapterTargets.Chosen(model, options);
        IReadOnlyList<Parameter> whole = TrainedInFull(model, options, targets);
        foreach (Parameter parameter in model.parameters()) parameter.requires_grad = false;
        Attach(targets, options);
        foreach (Parameter parameter in whole) parameter.requires_grad = true;
    }

    /// <summary>Adds adapters to layers, whatever the others do.</summary>
    public static void Attach(IEnumerable<AdapterTarget> targets, AdapterOptions options)
    {
        int index = 0;
        LoraOptions lora = (LoraOptions)options;
        foreach (IGrouping<string, AdapterTarget> layer in targets.GroupBy(target => target.Layer))
        {
            LinearAdapter adapter = new();
            IAdaptable place = layer.First().Place;
            foreach (AdapterTarget part in layer)
                adapter.Add(part.Part, new(place.Weight, part.First, part.Rows, lora, index++));
            place.Attach(adapter);
        }
    }

    /// <summary>Keeps the linear layers and experts of a module that are not trained in a number format.</summary>
    /// <exception cref="UserException">Rows of one do not divide into blocks.</exception>
    public static void Freeze(nn.Module module, FrozenFormat format)
    {
        if (format == FrozenFormat.Float32) return;
        ScalarType storage = format == FrozenFormat.Int8 ? ScalarType.Int8 : ScalarType.BFloat16;
        foreach (nn.Module layer in module.modules())
            if (layer is MixedLinear linear) linear.Freeze(storage);
            else if (layer is ExpertBank bank) bank.Freeze(storage);
    }

    private static List<Parameter> TrainedInFull(SequenceModel model, AdapterOptions options, IReadOnlyList<AdapterTarget> targets)
    {
        List<Parameter> found = [];
        List<Problem> problems = [];
        (string name, nn.Module module)[] modules = [.. model.named_modules().Where(entry => entry.module.parameters().Any())];
        foreach ((int index, string pattern) in (options.Train ?? []).Index())
        {
            (string name, nn.Module module)[] named = [.. modules.Where(entry => AdapterTargets.Matches(pattern, entry.name))];
            AdapterTarget? both = targets.FirstOrDefault(target => named.Any(entry => IsWithin(target, entry.name)));
            if (named.Length == 0) problems.Add(new($"adapter.train.{index}", Missing(pattern, model, modules)));
            if (both is not null)
                problems.Add(new($"adapter.train.{index}", $"\"{pattern}\" would train {both.Layer} in full, which has an adapter by " +
                    "adapter.targets; leave it out of one of them"));
            found.AddRange(named.SelectMany(entry => entry.module.parameters()));
        }
        return problems.Count == 0 ? found : throw new ConfigurationException(problems);
    }

    private static bool IsWithin(AdapterTarget target, string module) =>
        target.Layer == module || target.Layer.StartsWith($"{module}.", StringComparison.Ordinal);

    private static string Missing(string pattern, SequenceModel model, (string name, nn.Module module)[] modules) =>
        AdapterTargets.Matches(pattern, "head") && model.Options.TieEmbeddings
            ? $"\"{pattern}\" has no weights of its own, as model.tieEmbeddings is true; name embedding"
            : $"no module with weights is named \"{pattern}\"; there are " +
              string.Join(", ", modules.Select(entry => entry.name[(entry.name.LastIndexOf('.') + 1)..])
                  .Where(name => name.Length > 0 && !char.IsAsciiDigit(name[0])).Distinct());
}
