using System.IO.Enumeration;
using System.Text;
using System.Text.RegularExpressions;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>In ordinal order: <c>*</c> and <c>?</c> match within a name, <c>**</c> any folders, <c>[a-z]</c> one character, <c>{a,b}</c>
/// alternatives. Skips names that begin with a dot, and links to folders, which may form cycles.</summary>
internal static class FileGlob
{
    private static readonly char[] Wildcards = ['*', '?', '[', '{'];

    /// <summary>An existing file of that name is no glob.</summary>
    public static bool IsPattern(string path) => path.IndexOfAny(Wildcards) >= 0 && !File.Exists(path) && !Directory.Exists(path);

    public static IReadOnlyList<string> Match(string pattern)
    {
        // The folders above the first wildcard, and those that a relative pattern stands in, have names and no patterns.
        var given = pattern.Replace('\\', '/');
        var rest = given[(given.LastIndexOf('/', given.IndexOfAny(Wildcards)) + 1)..];
        var root = Path.GetFullPath(given[..^rest.Length] is { Length: > 0 } above ? above : ".");
        var regex = Compile(pattern, Translate(rest));
        var isDeep = rest.Contains('/') || rest.Contains("**", StringComparison.Ordinal);
        return [.. Below(root, isDeep).Where(file => regex.IsMatch(Path.GetRelativePath(root, file).Replace('\\', '/')))];
    }

    public static IReadOnlyList<string> Below(string folder, bool isDeep = true)
    {
        if (!Directory.Exists(folder))
            return [];
        var files = new FileSystemEnumerable<string>(folder, (ref FileSystemEntry entry) => entry.ToFullPath(),
            new EnumerationOptions { RecurseSubdirectories = isDeep, AttributesToSkip = 0, IgnoreInaccessible = false })
        {
            ShouldIncludePredicate = (ref FileSystemEntry entry) => !entry.IsDirectory && entry.FileName[0] != '.',
            ShouldRecursePredicate = (ref FileSystemEntry entry) =>
                entry.FileName[0] != '.' && (entry.Attributes & FileAttributes.ReparsePoint) == 0,
        };
        return [.. files.Order(StringComparer.Ordinal)];
    }

    private static Regex Compile(string pattern, string expression)
    {
        try
        {
            return new Regex(expression, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        }
        catch (ArgumentException e)
        {
            throw new UserException($"the pattern \"{pattern}\" is not understood: {e.Message.TrimEnd('.')}; it may have *, **, ?, [a-z] "
                + $"and {{a,b}}", e);
        }
    }

    private static string Translate(string pattern)
    {
        var regex = new StringBuilder("^");
        var braces = 0;
        for (var i = 0; i < pattern.Length; i++)
            switch (pattern[i])
            {
                case '*' when pattern.AsSpan(i).StartsWith("**/"):
                    regex.Append("(?:[^/]+/)*");
                    i += 2;
                    break;
                case '*' when pattern.AsSpan(i).StartsWith("**"):
                    regex.Append(".*");
                    i++;
                    break;
                case '*':
                    regex.Append("[^/]*");
                    break;
                case '?':
                    regex.Append("[^/]");
                    break;
                case '[' when i + 2 < pattern.Length && pattern.IndexOf(']', i + 2) is > 0 and var end:
                    var set = pattern[(i + 1)..end].Replace("\\", "\\\\").Replace("[", "\\[");
                    regex.Append(set[0] is '!' or '^' ? $"[^/{set[1..]}]" : $"[{set}]");
                    i = end;
                    break;
                case '{' when pattern.IndexOf('}', i) > 0:
                    regex.Append("(?:");
                    braces++;
                    break;
                case ',' when braces > 0:
                    regex.Append('|');
                    break;
                case '}' when braces > 0:
                    regex.Append(')');
                    braces--;
                    break;
                default:
                    regex.Append(Regex.Escape(pattern[i].ToString()));
                    break;
            }
        return regex.Append('$').ToString();
    }
}
