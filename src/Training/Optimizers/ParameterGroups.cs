using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Models;

namespace Trainer.Training.Optimizers;

/// <summary>What differs from the optimizer's own settings, by what parameters do in the model.</summary>
public sealed record ParameterGroupsOptions
{
    /// <summary>Tables of tokens and positions; the head, too, where it is tied.</summary>
    [Description("Tables of tokens and positions; the head, too, where model.tieEmbeddings is true.")]
    public ParameterGroupOptions? Embeddings { get; init; }

    /// <summary>Matrices inside blocks.</summary>
    [Description("Matrices inside blocks.")]
    public ParameterGroupOptions? Matrices { get; init; }

    /// <summary>The matrix that makes logits.</summary>
    [Description("The matrix that makes logits, where it is not the embeddings'.")]
    public ParameterGroupOptions? Head { get; init; }

    /// <summary>Norms and biases.</summary>
    [Description("Norms, biases and all else that is no matrix.")]
    public ParameterGroupOptions? Vectors { get; init; }

    internal ParameterGroupOptions? Of(ParameterRole role) => role switch
    {
        ParameterRole.Embedding => Embeddings,
        ParameterRole.Matrix => Matrices,
        ParameterRole.Head => Head,
        _ => Vectors,
    };
}

/// <summary>What differs in one group.</summary>
public sealed record ParameterGroupOptions : IValidated
{
    /// <summary>The learning rate at the peak of the schedule; null for the optimizer's.</summary>
    [Description("The learning rate at the peak of the schedule, which it follows; by default the optimizer's.")]
    [Range(0.0, double.MaxValue, MinimumIsExclusive = true)]
    public double? LearningRate { get; init; }

    /// <summary>Share of each parameter, times the learning rate, taken away every step; null for the optimizer's, 0 for vectors.</summary>
    [Description("Weight decay; by default the optimizer's, and 0 for vectors.")]
    [Range(0.0, double.MaxValue)]
    public double? WeightDecay { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => LearningRate is null && WeightDecay is null
        ? [new("", "changes nothing; give learningRate, weightDecay or both, or leave the group out")]
        : [];
}

/// <summary>Parameters with one learning rate, as a factor on the optimizer's, and one weight decay.</summary>
internal sealed record ParameterGroup(
    string Description, double Rate, double WeightDecay, IReadOnlyList<(string Name, Parameter Value)> Parameters);

/// <summary>Parameters of rank 2 or more (projections, embeddings) decay; norms and biases, whose scale has a meaning, do not, unless
/// <see cref="OptimizerOptions.Groups"/> says so.</summary>
internal static class ParameterGroups
{
    /// <summary>Sorts parameters into groups that hold each of them once. Without a layout, those of rank 2 or more are matrices.</summary>
    public static IReadOnlyList<ParameterGroup> Of(
        IReadOnlyList<(string Name, Parameter Value)> parameters, OptimizerOptions options, double weightDecay,
        ParameterLayout? layout = null)
    {
        ParameterRole RoleOf((string Name, Parameter Value) parameter) => layout?.Roles[parameter.Name]
            ?? (parameter.Value.dim() >= 2 ? ParameterRole.Matrix : ParameterRole.Vector);
        IReadOnlyList<ParameterGroup> groups = options.Groups is { } differing
            ? [.. Enum.GetValues<ParameterRole>().Select(role => NewGroup(role, differing, parameters.Where(p => RoleOf(p) == role)))]
            : [
                new($"weight decay {weightDecay}", 1, weightDecay, [.. parameters.Where(p => RoleOf(p) != ParameterRole.Vector)]),
                new("no weight decay", 1, 0, [.. parameters.Where(p => RoleOf(p) == ParameterRole.Vector)]),
            ];
        return groups.Sum(group => group.Parameters.Count) == parameters.Count
            ? groups
            : throw new InvalidOperationException("a parameter belongs to no group");

        ParameterGroup NewGroup(
            ParameterRole role, ParameterGroupsOptions differing, IEnumerable<(string Name, Parameter Value)> members)
        {
            ParameterGroupOptions? own = differing.Of(role);
            double rate = own?.LearningRate ?? options.LearningRate;
            double decay = own?.WeightDecay ?? (role == ParameterRole.Vector ? 0 : weightDecay);
            return new($"{Plural(role)}, learning rate {rate}, weight decay {decay}", rate / options.LearningRate, decay, [.. members]);
        }
    }

    /// <summary>Throws where a name or a parameter occurs twice, which would be updated twice a step.</summary>
    public static void RequireOnce(IReadOnlyList<(string Name, Parameter Value)> parameters)
    {
        string[] twice = [.. Repeated(parameters, p => p.Name), .. Repeated(parameters, p => p.Value.Handle)];
        if (twice.Length > 0)
            throw new ArgumentException($"every parameter must be listed once; twice are {string.Join(", ", twice.Distinct())}",
                nameof(parameters));
    }

    /// <summary>A line for each group, such as <c>weight decay 0.1: 26 tensors, 802,944 parameters</c>.</summary>
    public static IReadOnlyList<string> Describe(this IReadOnlyList<ParameterGroup> groups) =>
        [.. groups.Select(group => $"{group.Description}: {Count(group.Parameters)}")];

    public static string Count(IReadOnlyList<(string Name, Parameter Value)> group) =>
        $"{group.Count} tensors, {group.Sum(p => p.Value.numel()):N0} parameters";

    private static string Plural(ParameterRole role) => role switch
    {
        ParameterRole.Embedding => "embeddings",
        ParameterRole.Matrix => "matrices",
        ParameterRole.Head => "head",
        _ => "vectors",
    };

    private static IEnumerable<string> Repeated<T>(IEnumerable<(string Name, Parameter Value)> parameters,
        Func<(string Name, Parameter Value), T> key) =>
        parameters.GroupBy(key).Where(group => group.Count() > 1).SelectMany(group => group.Select(p => p.Name));
}
