namespace Trainer.Configuration;

/// <summary>A configuration that cannot be used, with everything that is wrong with it. The command line exits with 2.</summary>
/// <remarks>The message is a heading such as <c>configs/x.json: 2 problems</c> and then one indented line for each problem.</remarks>
/// <param name="problems">All problems found, at least one.</param>
/// <param name="source">What was read, such as the name of the recipe; <see langword="null"/> when it came from no file.</param>
public sealed class ConfigurationException(IReadOnlyList<Problem> problems, string? source = null)
    : UserException(Compose(problems, source))
{
    /// <summary>All problems, in the order in which they were found.</summary>
    public IReadOnlyList<Problem> Problems { get; } = problems;

    private static string Compose(IReadOnlyList<Problem> problems, string? source)
    {
        var count = problems.Count == 1 ? "1 problem" : $"{problems.Count} problems";
        return string.Join('\n', problems.Select(Line).Prepend($"{source ?? "configuration"}: {count}"));
    }

    private static string Line(Problem problem) =>
        problem.Path.Length == 0 ? $"  {problem.Message}" : $"  {problem.Path}: {problem.Message}";
}
