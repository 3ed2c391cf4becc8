using Trainer.Checkpoints;
using Trainer.Checkpoints.Adapters;
using Trainer.Configuration;
using Trainer.Models;

namespace Trainer.Inference.Serving;

/// <summary>One of several adapters over one model.</summary>
/// <param name="Name">What requests call it.</param>
/// <param name="Path">A checkpoint or run that holds an adapter, or a directory of PEFT's.</param>
public sealed record NamedAdapter(string Name, string Path)
{
    /// <summary>Opens all of them.</summary>
    /// <exception cref="ConfigurationException">Two models would have one name, or one none.</exception>
    /// <exception cref="UserException">One is missing, damaged, or goes on other weights, or the model is an encoder.</exception>
    internal static IEnumerable<(NamedAdapter Name, AdapterSource Source)> Opened(
        IReadOnlyList<NamedAdapter> adapters, Checkpoint original)
    {
        if (adapters.Count == 0) return [];
        Problem[] problems = [.. Problems(adapters, original.Configuration.Name)];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        return original.Model is EncoderOptions
            ? throw new UserException($"{original.Directory}: it is an encoder, and adapters are served beside models that generate; " +
                "serve the adapter's run by itself")
            : adapters.Select(adapter => (adapter, AdapterSource.Open(adapter.Path, original)));
    }

    private static IEnumerable<Problem> Problems(IReadOnlyList<NamedAdapter> adapters, string original)
    {
        Dictionary<string, string> taken = new() { [original] = "the base" };
        foreach (NamedAdapter adapter in adapters)
        {
            if (string.IsNullOrWhiteSpace(adapter.Name))
                yield return new("", $"the adapter {adapter.Path} has no name, which requests would ask for it by; give one");
            else if (!taken.TryAdd(adapter.Name, adapter.Path))
                yield return new("", $"the name '{adapter.Name}' of {adapter.Path} is that of {taken[adapter.Name]}, too, and requests " +
                    "choose a model by its name; give another");
        }
    }
}
