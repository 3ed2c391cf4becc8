namespace Trainer.Configuration;

/// <summary>A failure that the user can fix: a missing file, a full disk, a damaged checkpoint.</summary>
/// <remarks>The message has the path, what was found, what was expected, and the fix. The command line exits with 1.</remarks>
public class UserException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A command that makes no sense for what it was given. The command line exits with 2.</summary>
public sealed class UsageException(string message) : UserException(message);

/// <summary>An invalid configuration, its message listing all problems below a heading. The command line exits with 2.</summary>
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

/// <summary>One problem: what was found, what is allowed, and the fix, in one sentence.</summary>
/// <remarks>The path has dotted camelCase names and list indices, such as <c>model.attention.heads</c>; it is relative to the record that
/// reports it until the loader completes it.</remarks>
public sealed record Problem(string Path, string Message);

/// <summary>A record with rules across its fields (ranges of one field are attributes), which the loader asks once bound.</summary>
public interface IValidated
{
    /// <summary>The problems of this record, with paths relative to it; the empty path is the record itself.</summary>
    IEnumerable<Problem> Validate();
}
