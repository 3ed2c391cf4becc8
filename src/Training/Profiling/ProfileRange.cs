using Trainer.Configuration;

namespace Trainer.Training.Profiling;

/// <summary>The steps to measure, both ends among them.</summary>
public sealed record ProfileRange(long First, long Last)
{
    /// <summary>Reads a range such as <c>20:30</c>.</summary>
    /// <exception cref="ConfigurationException">It is none.</exception>
    public static ProfileRange Parse(string text) =>
        StepRange.Parse(text) is (>= 1 and var first, var last) && first <= last
            ? new(first, last)
            : throw new ConfigurationException([new Problem("--profile", $"\"{text}\" is no range of steps; give the first and the last " +
                "one, such as 20:30")], "command line");

    /// <summary>Why a session that takes these steps cannot measure all of the range.</summary>
    internal IEnumerable<Problem> ValidateFor(long before, long last)
    {
        if (First <= before || Last > last)
            yield return new("--profile", $"steps {First} to {Last} are not all among those to be taken, {before + 1} to {last}; choose " +
                "others");
    }
}
