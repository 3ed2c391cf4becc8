using System.Text;
using System.Text.Json;
using Trainer.Configuration;

namespace Trainer.Reporting.Monitoring;

/// <summary>Keeps metrics.jsonl free of steps that a resumed run records again.</summary>
public static class MetricsFile
{
    /// <summary>Removes every record of <paramref name="firstStep"/> and later, and lines that are no record, as a killed
    /// process may leave one at the end. The file is replaced as a whole by renaming, or left as it was.</summary>
    /// <param name="path">The file; nothing happens when there is none.</param>
    /// <param name="firstStep">The first step that will be recorded next.</param>
    /// <returns>How many records were overlapping, and how many lines were damaged.</returns>
    /// <exception cref="UserException">The file cannot be read or replaced.</exception>
    public static (int Overlapping, int Damaged) Rewind(string path, long firstStep)
    {
        if (!File.Exists(path))
            return default;
        try
        {
            return Rewrite(path, firstStep);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: steps from {firstStep} on could not be removed before they are recorded again: {failure.Message}", failure);
        }
    }

    private static (int Overlapping, int Damaged) Rewrite(string path, long firstStep)
    {
        var (overlapping, damaged) = (0, 0);
        var temporary = path + ".tmp";
        using (var target = new FileStream(temporary, FileMode.Create))
        {
            foreach (var line in File.ReadLines(path).Where(line => line.Length > 0))
            {
                if (Step(line) is not { } step)
                    damaged++;
                else if (step >= firstStep)
                    overlapping++;
                else
                    target.Write(Encoding.UTF8.GetBytes(line + "\n"));
            }
            target.Flush(flushToDisk: true);
        }
        File.Move(temporary, path, overwrite: true);
        return (overlapping, damaged);
    }

    private static long? Step(string line)
    {
        try
        {
            using var record = JsonDocument.Parse(line);
            return record.RootElement.ValueKind == JsonValueKind.Object
                && record.RootElement.TryGetProperty("step", out var step)
                && step.ValueKind == JsonValueKind.Number
                && step.TryGetInt64(out var value) ? value : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
