using System.Text.RegularExpressions;

namespace Trainer.Torch.Tests.Interop;

/// <summary>The functions that the C++ sources declare, their one-argument macros expanded.</summary>
internal static partial class ShimSource
{
    internal sealed record Function(string Result, IReadOnlyList<string> Parameters);

    internal static Dictionary<string, Function> Functions()
    {
        var functions = new Dictionary<string, Function>();
        foreach (var path in Directory.GetFiles(Repository.PathOf("src", "Torch", "Native"), "*.cpp"))
            foreach (Match match in Declaration().Matches(Expand(File.ReadAllText(path))))
                functions.Add(match.Groups["name"].Value, new Function(match.Groups["result"].Value.Trim(), Types(match.Groups["parameters"].Value)));
        return functions;
    }

    private static string[] Types(string parameters) =>
        [.. parameters.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(parameter => LastWord().Replace(parameter.Trim(), "").Trim())];

    // What a macro defines appears where it is used; its own text goes away.
    private static string Expand(string source)
    {
        var joined = source.Replace("\\\n", " ");
        var bodies = Macro().Matches(joined).ToDictionary(match => match.Groups["name"].Value, match => match.Groups["body"].Value);
        var plain = Macro().Replace(joined, "");
        return Use().Replace(plain, match => bodies.TryGetValue(match.Groups["name"].Value, out var body)
            ? Parameter().Replace(body, match.Groups["argument"].Value)
            : match.Value);
    }

    [GeneratedRegex(@"^#define (?<name>TN_\w+)\(name\)(?<body>.*)$", RegexOptions.Multiline)]
    private static partial Regex Macro();

    [GeneratedRegex(@"^(?<name>TN_\w+)\((?<argument>\w+)\)$", RegexOptions.Multiline)]
    private static partial Regex Use();

    [GeneratedRegex(@"(##)?\bname\b(##)?|##name##|(?<=_)##name")]
    private static partial Regex Parameter();

    [GeneratedRegex(@"TN_API\s+(?<result>[\w\s\*]+?)\s*(?<name>tn_\w+)\((?<parameters>[^)]*)\)")]
    private static partial Regex Declaration();

    [GeneratedRegex(@"\w+$")]
    private static partial Regex LastWord();
}
