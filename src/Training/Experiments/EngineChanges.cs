using System.Text.RegularExpressions;
using Trainer.Training.Distribution;

namespace Trainer.Training.Experiments;

/// <summary>What the bits of a run depend on besides recipe and data, as its log has it, against this process.</summary>
internal static partial class EngineChanges
{
    private static readonly string[] Kinds = ["engine", "processes", "computing"];

    /// <summary>A line for each that differs from what the log of a run says, in any of its parts.</summary>
    public static IReadOnlyList<string> Find(string run, TrainState state)
    {
        string log = Path.Combine(run, "log.txt");
        return File.Exists(log) ? Find(File.ReadLines(log), [RunDescription.Engine, .. RunDescription.Sharing(state)]) : [];
    }

    internal static IReadOnlyList<string> Find(IEnumerable<string> log, IReadOnlyList<string> now)
    {
        ILookup<string, string> then = log.Select(line => Entry().Match(line)).Where(match => match.Success)
            .ToLookup(match => match.Groups[1].Value, match => match.Groups[2].Value);
        List<string> changes = [];
        foreach (string kind in Kinds)
        {
            string prefix = $"{kind}: ";
            string here = now.FirstOrDefault(line => line.StartsWith(prefix, StringComparison.Ordinal))?[prefix.Length..] ?? "none";
            string advice = kind == "processes" ? "; verify with as many" : "";
            changes.AddRange(then[kind].Distinct().Where(value => value != here && !value.StartsWith(Ranks.Waits, StringComparison.Ordinal))
                .Select(value => $"{prefix}{value} in the run's log, {here} here{advice}"));
        }
        return changes;
    }

    [GeneratedRegex(@"^\S+ \S+Z  (\w+): (.*)$")]
    private static partial Regex Entry();
}
