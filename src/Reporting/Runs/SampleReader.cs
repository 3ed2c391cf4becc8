using Trainer.Checkpoints;
using Trainer.Reporting.Monitoring;

namespace Trainer.Reporting;

/// <summary>Reads the files of samples/, as <see cref="SampleFilesSink"/> writes them.</summary>
/// <param name="directory">The directory of samples; it need not be there.</param>
/// <param name="prompts">The prompts of the run, so that they can be told from what the model added.</param>
/// <param name="warn">Told about files that cannot be read, and about steps left out.</param>
internal sealed class SampleReader(string directory, IReadOnlyList<string> prompts, Action<string> warn)
{
    /// <summary>Samples of more steps would make the page large, and nobody reads them.</summary>
    internal const int MostSteps = 100;

    /// <summary>Reads the samples.</summary>
    /// <returns>Ascending by step; of more than <see cref="MostSteps"/> steps, so many spread evenly, the first and the last among them.</returns>
    public IReadOnlyList<SampleSet> Read()
    {
        if (!Directory.Exists(directory)) return [];
        (long Step, string Path)[] files =
            [.. Directory.EnumerateFiles(directory, "step-*.txt").Select(path => (CheckpointFiles.StepOf(Path.GetFileNameWithoutExtension(path)), path))
                .Where(file => file.Item1 is not null).Select(file => (file.Item1!.Value, file.path)).Order()];
        if (files.Length > MostSteps)
        {
            warn($"{directory}: {HumanFormat.Number(files.Length)} steps have samples; {MostSteps} of them, spread evenly, are shown");
            files = [.. Enumerable.Range(0, MostSteps).Select(i => files[(long)i * (files.Length - 1) / (MostSteps - 1)])];
        }
        return [.. files.Select(file => Set(file.Step, file.Path)).OfType<SampleSet>()];
    }

    private SampleSet? Set(long step, string path)
    {
        try
        {
            return new SampleSet(step, [.. File.ReadAllText(path).Split(SampleFilesSink.Separator).Select(Text)]);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            warn($"{path}: the samples cannot be read ({error.Message.TrimEnd('.')})");
            return null;
        }
    }

    private SampleText Text(string sample)
    {
        var prompt = prompts.Where(prompt => sample.StartsWith(prompt, StringComparison.Ordinal)).MaxBy(prompt => prompt.Length) ?? "";
        return new SampleText(prompt, sample[prompt.Length..]);
    }
}
