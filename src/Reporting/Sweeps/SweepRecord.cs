using System.Text.Json;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Reporting.Sweeps;

/// <summary>A combination of the settings that a sweep varies: a value for each of <see cref="SweepDefinition.Varied"/>.</summary>
public sealed record SweepConfiguration(IReadOnlyList<string> Values);

/// <summary>A run of a sweep: its directory's name, which of the configurations it has, and its seed.</summary>
public sealed record SweepRun(string Name, int Configuration, long Seed);

/// <summary>What a sweep is to do; it never changes.</summary>
public sealed record SweepDefinition
{
    /// <summary>The recipe's file, as it was given.</summary>
    public required string Recipe { get; init; }

    /// <summary>The settings as they were given, such as <c>optimizer.learningRate=1e-3,2e-3</c>.</summary>
    public required IReadOnlyList<string> Settings { get; init; }

    /// <summary>Configurations drawn at random; null for a grid.</summary>
    public int? Random { get; init; }

    /// <summary>What random configurations were drawn from; null for a grid.</summary>
    public long? DrawSeed { get; init; }

    /// <summary>Seeds of each configuration.</summary>
    public required int Seeds { get; init; }

    /// <summary>The F of successive halving: of the configurations at a rung, 1/F go on; null where all are trained in full.</summary>
    public int? Halving { get; init; }

    /// <summary>The steps at which configurations are compared and dropped, ascending; empty where none are.</summary>
    public required IReadOnlyList<long> Rungs { get; init; }

    /// <summary>The paths of the settings with more than one value.</summary>
    public required IReadOnlyList<string> Varied { get; init; }

    /// <summary>The combinations, in order.</summary>
    public required IReadOnlyList<SweepConfiguration> Configurations { get; init; }

    /// <summary>The runs, those of one configuration side by side.</summary>
    public required IReadOnlyList<SweepRun> Runs { get; init; }
}

/// <summary>How a run of a sweep stands.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SweepStatus>))]
public enum SweepStatus
{
    /// <summary>It was not started, or is under way.</summary>
    [JsonStringEnumMemberName("pending")]
    Pending,

    /// <summary>It reached a rung, and waits for the others.</summary>
    [JsonStringEnumMemberName("paused")]
    Paused,

    /// <summary>It reached a rung, and its configuration was not among the best there.</summary>
    [JsonStringEnumMemberName("dropped")]
    Dropped,

    /// <summary>All steps are done.</summary>
    [JsonStringEnumMemberName("completed")]
    Completed,

    /// <summary>It ended with an error, such as a loss that is not finite.</summary>
    [JsonStringEnumMemberName("failed")]
    Failed,
}

/// <summary>How a run stands: the step it was to reach, and the error it failed with.</summary>
public sealed record SweepOutcome(SweepStatus Status, long Step, string? Error = null)
{
    /// <summary>A run that was not started.</summary>
    public static SweepOutcome Pending { get; } = new(SweepStatus.Pending, 0);
}

/// <summary>The file sweep.json of a sweep's directory: what it is to do, and how its runs stand.</summary>
public sealed record SweepRecord(SweepDefinition Definition, IReadOnlyDictionary<string, SweepOutcome> Outcomes)
{
    /// <summary>The runs at once with which the sweep was begun: each run's threads follow from it. null where that is not known.</summary>
    public int? Jobs { get; init; }

    /// <summary>Its name.</summary>
    public const string FileName = "sweep.json";

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    /// <summary>Whether a directory is a sweep's.</summary>
    public static bool IsIn(string directory) => File.Exists(Path.Combine(directory, FileName));

    /// <summary>How a run stands.</summary>
    public SweepOutcome OutcomeOf(SweepRun run) => Outcomes.GetValueOrDefault(run.Name, SweepOutcome.Pending);

    /// <summary>Reads the file.</summary>
    /// <exception cref="UserException">It is missing, or is no such file.</exception>
    public static SweepRecord Load(string directory)
    {
        string path = Path.Combine(directory, FileName);
        try
        {
            SweepRecord? read = JsonSerializer.Deserialize<SweepRecord>(File.ReadAllText(path), Format);
            return read is { Definition: not null, Outcomes: not null }
                ? read
                : throw new UserException($"{path}: it is no sweep's definition");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new UserException($"{path}: the sweep's definition cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Replaces the file at once: readers see the old one or the new one.</summary>
    public void Save(string directory) => DurableFile.Replace(Path.Combine(directory, FileName), ToJson(this) + "\n");

    /// <summary>A part of the file, as it is written.</summary>
    public static string ToJson<T>(T part) => JsonSerializer.Serialize(part, Format);
}
