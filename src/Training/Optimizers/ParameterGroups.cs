using TorchSharp.Modules;

namespace Trainer.Training;

/// <summary>Parameters by how the optimizer treats them: matrices decay, the rest does not.</summary>
/// <remarks>Rank decides, not names: everything of rank 2 or more (projections, embeddings) decays; norms and biases,
/// whose scale means something, do not.</remarks>
public sealed class ParameterGroups
{
    private ParameterGroups(IReadOnlyList<(string Name, Parameter Value)> decayed, IReadOnlyList<(string Name, Parameter Value)> plain)
    {
        Decayed = decayed;
        Plain = plain;
    }

    /// <summary>Parameters of rank 2 or more.</summary>
    public IReadOnlyList<(string Name, Parameter Value)> Decayed { get; }

    /// <summary>Parameters of rank 0 and 1, and those of <see cref="Decayed"/> when nothing decays.</summary>
    public IReadOnlyList<(string Name, Parameter Value)> Plain { get; }

    /// <summary>Sorts parameters into groups.</summary>
    /// <param name="parameters">All trainable parameters with their names.</param>
    /// <returns>Groups that hold every parameter exactly once.</returns>
    /// <exception cref="ArgumentException">A name or a tensor occurs twice: it would be updated twice a step.</exception>
    public static ParameterGroups Of(IReadOnlyList<(string Name, Parameter Value)> parameters)
    {
        string[] twice = [.. Repeated(parameters, p => p.Name), .. Repeated(parameters, p => p.Value.Handle)];
        if (twice.Length > 0)
            throw new ArgumentException($"every parameter must be listed once; twice are {string.Join(", ", twice.Distinct())}", nameof(parameters));

        ParameterGroups groups = new(
            [.. parameters.Where(p => p.Value.dim() >= 2)],
            [.. parameters.Where(p => p.Value.dim() < 2)]);
        return groups.Decayed.Count + groups.Plain.Count == parameters.Count
            ? groups
            : throw new InvalidOperationException("a parameter belongs to no group");
    }

    /// <summary>What is in the groups, a line each.</summary>
    /// <param name="weightDecay">The weight decay of <see cref="Decayed"/>.</param>
    /// <returns>Such as <c>weight decay 0.1: 26 tensors, 802,944 parameters</c>.</returns>
    public IReadOnlyList<string> Describe(double weightDecay) =>
        [$"weight decay {weightDecay}: {Count(Decayed)}", $"no weight decay: {Count(Plain)}"];

    private static string Count(IReadOnlyList<(string Name, Parameter Value)> group) =>
        $"{group.Count} tensors, {group.Sum(p => p.Value.numel()):N0} parameters";

    private static IEnumerable<string> Repeated<T>(IEnumerable<(string Name, Parameter Value)> parameters, Func<(string Name, Parameter Value), T> key) =>
        parameters.GroupBy(key).Where(group => group.Count() > 1).SelectMany(group => group.Select(p => p.Name));
}
