namespace Trainer.Reporting.Monitoring;

/// <summary>Makes text that a model wrote safe to print.</summary>
internal static class TerminalText
{
    /// <summary>The first lines of <paramref name="text"/>, with every control character replaced: a model that knows
    /// bytes but not yet words writes escape sequences, which would take over the terminal.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="lines">How many lines at most; an ellipsis stands for the rest.</param>
    public static IReadOnlyList<string> Preview(string text, int lines)
    {
        var all = text.ReplaceLineEndings("\n").TrimEnd('\n').Split('\n');
        var shown = all.Take(lines).Select(Printable).ToList();
        if (all.Length > lines)
            shown[^1] += " …";
        return shown;
    }

    private static string Printable(string line) => string.Create(line.Length, line, (target, source) =>
    {
        for (var i = 0; i < target.Length; i++)
            target[i] = source[i] == '\t' ? ' ' : char.IsControl(source[i]) ? '·' : source[i];
    });
}
