using System.Collections;

namespace Trainer.Configuration.Layers;

/// <summary>Settings from environment variables: <c>TRAINER__training__steps</c> is <c>training.steps</c>, in any case.</summary>
/// <remarks>Microsoft.Extensions.Configuration.EnvironmentVariables would forget the variable's name, which errors tell, and read no lists.</remarks>
internal static class EnvironmentLayer
{
    private const string Prefix = "TRAINER__";

    public static Layer Read(IReadOnlyDictionary<string, string> environment, ICollection<Problem> problems)
    {
        var layer = new Layer();
        foreach (var (name, value) in environment.OrderBy(variable => variable.Key, StringComparer.Ordinal))
        {
            if (!name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
                continue;
            var path = name[Prefix.Length..].Split("__");
            if (LooseValue.Read(path, value, $"from environment variable {name}", problems) is { } one)
                layer.Absorb(one);
        }
        return layer;
    }

    /// <summary>The variables of this process.</summary>
    public static IReadOnlyDictionary<string, string> OfProcess() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .ToDictionary(variable => (string)variable.Key, variable => (string?)variable.Value ?? "");
}
