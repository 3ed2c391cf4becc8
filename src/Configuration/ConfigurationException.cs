namespace Trainer.Configuration;

/// <summary>A failure that the user can fix: a missing file, a full disk, a damaged checkpoint.</summary>
/// <remarks>The command line prints the message alone, without a stack trace, and exits with 1. The message names the path, what was found,
/// what was expected, and the fix.</remarks>
public class UserException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>An invalid configuration, with all its problems. The command line exits with 2.</summary>
/// <remarks>The message is a heading such as <c>configs/x.json: 2 problems</c> and then one indented line for each problem.</remarks>
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

/// <summary>One problem of a configuration.</summary>
/// <param name="Path">Where: dotted camelCase names and list indices, such as <c>model.attention.heads</c>; relative to the record that
/// reports it until the loader has put the record's own path in front.</param>
/// <param name="Message">What was found, what is allowed, and how to mend it, in one sentence.</param>
public sealed record Problem(string Path, string Message);

/// <summary>A configuration record with rules across its own fields.</summary>
/// <remarks>Ranges of a single field are attributes; only what concerns several fields belongs here. The loader asks every record it has
/// bound, at every depth, and reports all problems together.</remarks>
public interface IValidated
{
    /// <summary>The problems of this record, with paths relative to it; the empty path is the record itself.</summary>
    IEnumerable<Problem> Validate();
}
