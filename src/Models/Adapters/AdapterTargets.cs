using System.Text.RegularExpressions;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models.Adapters;

/// <summary>A matrix that can have an adapter: a linear layer of a block, or a part of a fused one; or that of each expert.</summary>
/// <param name="Name">The layer's name, its last part replaced by the matrix's own in a fused layer, as
/// <c>blocks.0.mixer.projection.query</c>.</param>
/// <param name="Layer">The layer's name; of experts, that of their weight.</param>
/// <param name="Place">The layer, or the experts' weight.</param>
/// <param name="First">The matrix's first row in the layer's weight.</param>
/// <param name="Rows">How many rows it has.</param>
/// <param name="Attends">Whether it belongs to attention.</param>
internal sealed record AdapterTarget(string Name, string Layer, IAdaptable Place, long First, long Rows, bool Attends)
{
    /// <summary>The last part of the name.</summary>
    public string Part => Name[(Name.LastIndexOf('.') + 1)..];

    /// <summary>The name of the weight that has it.</summary>
    public string Weight => IsOfExperts ? Layer : $"{Layer}.weight";

    /// <summary>The name of its update's module in the model, to which those of A and B are added.</summary>
    public string Update => $"{(IsOfExperts ? Layer[..Layer.LastIndexOf('.')] : Layer)}.adapter.{Part}";

    /// <summary>Whether it is a matrix of each expert.</summary>
    public bool IsOfExperts => Place is ExpertMatrix;

    /// <summary>What the shapes of its weight and of its update begin with: the experts, (E).</summary>
    public long[] Leading => Place.Weight.shape[..^2];
}

/// <summary>Finds the layers that adapters go to.</summary>
internal static class AdapterTargets
{
    /// <summary>All that could have one, in the order of the model.</summary>
    public static IReadOnlyList<AdapterTarget> Of(nn.Module model)
    {
        (string name, nn.Module module)[] modules = [.. model.named_modules()];
        string[] blocks = [.. Paths<Block>()], attention = [.. Paths<AttentionLayer>()];
        Dictionary<string, IReadOnlyList<MatrixRows>> fused = (
            from entry in modules
            where entry.module is IFusesMatrices
            from matrix in ((IFusesMatrices)entry.module).FusedMatrices
            select (Name: $"{entry.name}.{matrix.Name}", matrix.Parts)
        ).ToDictionary(matrix => matrix.Name, matrix => matrix.Parts);
        return
        [
            .. from entry in modules
               where IsBelow(blocks, entry.name)
               from place in PlacesOf(entry.name, entry.module)
               from target in PartsOf(
                   place.Layer, place.Place, fused.GetValueOrDefault(place.Weight), IsBelow(attention, entry.name))
               select target,
        ];

        IEnumerable<string> Paths<T>() => modules.Where(entry => entry.module is T).Select(entry => entry.name);

        static IEnumerable<(string Layer, string Weight, IAdaptable Place)> PlacesOf(string name, nn.Module module) => module switch
        {
            MixedLinear linear => [(name, $"{name}.weight", linear)],
            ExpertBank bank => bank.Matrices.Select(matrix => ($"{name}.{matrix.Name}", $"{name}.{matrix.Name}", (IAdaptable)matrix)),
            _ => [],
        };
    }

    /// <summary>Those that the options name; each pattern has to match.</summary>
    /// <exception cref="ConfigurationException">A pattern matches nothing, or a rank is more than its matrix's.</exception>
    public static IReadOnlyList<AdapterTarget> Chosen(SequenceModel model, AdapterOptions options)
    {
        IReadOnlyList<AdapterTarget> all = Of(model);
        AdapterTarget[] chosen = [.. all.Where(target => IsChosen(target, options, name => [name]))];
        Problem[] problems = [.. Unmatched(model, options, all), .. RankProblems(chosen, options), .. DropoutProblems(chosen, options)];
        return problems.Length == 0 ? chosen : throw new ConfigurationException(problems);
    }

    /// <summary>Whether a target of a model that has some of a larger one's layers is chosen there, by any of the names it has.</summary>
    public static bool IsChosen(AdapterTarget target, AdapterOptions options, Func<string, IEnumerable<string>> names) =>
        options.Targets is not { } patterns ? target.Attends
        : patterns.Any(pattern => names(target.Name).Concat(names(target.Layer)).Any(name => Matches(pattern, name)));

    /// <summary>Whether a pattern is a name, its end after a dot, or with * and ? describes all of it.</summary>
    public static bool Matches(string pattern, string name) => pattern.AsSpan().ContainsAny('*', '?')
        ? Regex.IsMatch(name, $"^{Regex.Escape(pattern).Replace(@"\*", ".*").Replace(@"\?", ".")}$", RegexOptions.CultureInvariant)
        : name == pattern || name.EndsWith($".{pattern}", StringComparison.Ordinal);

    private static IEnumerable<AdapterTarget> PartsOf(string layer, IAdaptable place, IReadOnlyList<MatrixRows>? parts, bool attends)
    {
        if (parts is null || parts.Any(part => part.Name is null))
        {
            yield return new(layer, layer, place, 0, place.Outputs, attends);
            yield break;
        }
        long first = 0;
        foreach (MatrixRows part in parts)
        {
            yield return new($"{layer[..(layer.LastIndexOf('.') + 1)]}{part.Name}", layer, place, first, part.Rows, attends);
            first += part.Rows;
        }
    }

    private static IEnumerable<Problem> Unmatched(SequenceModel model, AdapterOptions options, IReadOnlyList<AdapterTarget> all)
    {
        if (options.Targets is null && !all.Any(target => target.Attends))
            yield return new("adapter.targets", $"by default attention gets adapters, and this model has none; {Known(all)}");
        foreach ((int index, string pattern) in (options.Targets ?? []).Index())
        {
            if (all.Any(target => Matches(pattern, target.Name) || Matches(pattern, target.Layer))) continue;
            string? other = Names(model).FirstOrDefault(name => Matches(pattern, name));
            yield return new($"adapter.targets.{index}", other is null
                ? $"no linear layer is named \"{pattern}\"; {Known(all)}"
                : $"\"{pattern}\" is {other}, which is no linear layer of a block: adapter.train can train it in full, and {Known(all)}");
        }
    }

    private static IEnumerable<string> Names(SequenceModel model) =>
        model.named_modules().Select(entry => entry.name).Concat(model.named_parameters().Select(entry => entry.name));

    private static string Known(IReadOnlyList<AdapterTarget> all) =>
        "adapters can go to " + string.Join(", ", all.Select(target => target.Part).Distinct()) +
        (all.Count == 0 ? "nothing here" : $", or to one by its name, such as {all[0].Name}");

    private static IEnumerable<Problem> RankProblems(IReadOnlyList<AdapterTarget> chosen, AdapterOptions options)
    {
        if (options is not LoraOptions { Rank: var rank }) yield break;
        long Largest(AdapterTarget target) => Math.Min(target.Rows, target.Place.Inputs);
        if (chosen.Count > 0 && chosen.MinBy(Largest) is { } smallest && rank > Largest(smallest))
            yield return new("adapter.rank", $"rank ({rank}) is more than that of {smallest.Name}, a matrix of {smallest.Rows} × " +
                $"{smallest.Place.Inputs}; use at most {Largest(smallest)}, or leave it out of targets");
    }

    // As in PEFT: tokens come to an expert by what the router chose, in no order that positions of a pass could be dropped by.
    private static IEnumerable<Problem> DropoutProblems(IReadOnlyList<AdapterTarget> chosen, AdapterOptions options)
    {
        if (options is LoraOptions { Dropout: > 0 } && chosen.FirstOrDefault(target => target.IsOfExperts) is { } expert)
            yield return new(
                "adapter.dropout", $"adapters of experts ({expert.Name}) have no dropout; set it to 0, or leave experts out of targets");
    }

    private static bool IsBelow(string[] paths, string name) =>
        paths.Any(path => name.StartsWith(path, StringComparison.Ordinal) && name.Length > path.Length && name[path.Length] == '.');
}
