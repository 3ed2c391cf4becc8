namespace Trainer.Reporting;

/// <summary>What the runs of one report are called.</summary>
internal static class RunNames
{
    /// <summary>The last part of each directory's path; where several end alike, as many parts as tell them apart.</summary>
    /// <param name="directories">Different directories.</param>
    /// <returns>A different name for each.</returns>
    public static IReadOnlyList<string> Of(IReadOnlyList<string> directories)
    {
        string[][] parts = [.. directories.Select(directory =>
            Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory)).Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))];
        var lengths = parts.Select(_ => 1).ToArray();
        for (var deepest = parts.Max(path => path.Length); deepest > 0; deepest--)
        {
            var alike = Enumerable.Range(0, parts.Length).GroupBy(i => Name(i)).Where(group => group.Count() > 1).SelectMany(group => group).ToArray();
            if (alike.Length == 0) break;
            foreach (var i in alike) lengths[i]++;
        }
        return [.. Enumerable.Range(0, parts.Length).Select(Name)];

        string Name(int i) => parts[i].Length == 0 ? "/" : string.Join('/', parts[i].TakeLast(lengths[i]));
    }
}
