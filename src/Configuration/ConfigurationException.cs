namespace Trainer.Configuration;

/// <summary>A configuration that cannot be used, with everything that is wrong with it. The command line exits with 2.</summary>
/// <param name="problems">All problems found, at least one.</param>
public sealed class ConfigurationException(IReadOnlyList<Problem> problems)
    : UserException(string.Join(Environment.NewLine, problems.Select(Line)))
{
    /// <summary>All problems, in the order in which they were found.</summary>
    public IReadOnlyList<Problem> Problems { get; } = problems;

    private static string Line(Problem problem) =>
        problem.Path.Length == 0 ? problem.Message : $"{problem.Path}: {problem.Message}";
}
