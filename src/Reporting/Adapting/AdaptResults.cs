using System.Text.Json;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Reporting.Adapting;

/// <summary>What an adapted model costs and what it lost: loss in nats per target on validation data, bytes of cache for each token of the
/// context on average, tokens per second that one text is continued with at the end of the context.</summary>
public sealed record AdaptPoint(string Name, double Loss, double CacheBytesPerToken, double TokensPerSecond)
{
    /// <summary>The run that trained it.</summary>
    public required string Run { get; init; }

    /// <summary>Whether no other point is better in one of loss, cache and speed and as good in the others.</summary>
    public bool IsOnFront { get; init; }

    /// <summary>Why it was not measured; null where it was.</summary>
    public string? Error { get; init; }

    /// <summary>Whether another point is at least as good in everything, and better in something.</summary>
    public bool IsDominatedBy(AdaptPoint other) =>
        other.Loss <= Loss && other.CacheBytesPerToken <= CacheBytesPerToken && other.TokensPerSecond >= TokensPerSecond
        && (other.Loss < Loss || other.CacheBytesPerToken < CacheBytesPerToken || other.TokensPerSecond > TokensPerSecond);
}

/// <summary>The file adapt.json: a model, the budget it was to fit, and the points that were tried.</summary>
public sealed record AdaptResults
{
    /// <summary>Its name.</summary>
    public const string FileName = "adapt.json";

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>The checkpoint that all begin with, and the SHA-256 of its weights.</summary>
    public required string Source { get; init; }

    /// <summary>The hash of its weights.</summary>
    public required string Sha256 { get; init; }

    /// <summary>The most bytes of cache for each token.</summary>
    public required double Budget { get; init; }

    /// <summary>The context, in tokens.</summary>
    public required int Context { get; init; }

    /// <summary>The greatest share that the loss may grow by.</summary>
    public required double MaxLoss { get; init; }

    /// <summary>Steps that each is trained for.</summary>
    public required long Steps { get; init; }

    /// <summary>Settings that differed from the original's recipe.</summary>
    public IReadOnlyList<string> Settings { get; init; } = [];

    /// <summary>The model as it is, at its own context.</summary>
    public required AdaptPoint Original { get; init; }

    /// <summary>What was tried, in order.</summary>
    public required IReadOnlyList<AdaptPoint> Points { get; init; }

    /// <summary>The point of the lowest loss within budget and loss; null where there is none.</summary>
    [JsonIgnore]
    public AdaptPoint? Chosen => Points
        .Where(point => point.Error is null && point.CacheBytesPerToken <= Budget && Change(point) <= MaxLoss)
        .OrderBy(point => point.Loss).ThenBy(point => point.CacheBytesPerToken).FirstOrDefault();

    /// <summary>The share that a point's loss has grown by.</summary>
    public double Change(AdaptPoint point) => point.Loss / Original.Loss - 1;

    /// <summary>The same with the front marked.</summary>
    public AdaptResults WithFront()
    {
        AdaptPoint[] measured = [.. Points.Where(point => point.Error is null)];
        return this with
        {
            Points = [.. Points.Select(point => point with
            {
                IsOnFront = point.Error is null && !measured.Any(point.IsDominatedBy),
            })],
        };
    }

    /// <summary>Whether a directory has the file.</summary>
    public static bool IsIn(string directory) => File.Exists(Path.Combine(directory, FileName));

    /// <summary>Reads the file of a directory.</summary>
    /// <exception cref="UserException">It is missing, or no such file.</exception>
    public static AdaptResults Load(string directory)
    {
        string path = Path.Combine(directory, FileName);
        try
        {
            return JsonSerializer.Deserialize<AdaptResults>(File.ReadAllText(path), Format)
                ?? throw new UserException($"{path}: it holds no results");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new UserException($"{path}: it cannot be read: {error.Message}; give another directory", error);
        }
    }

    /// <summary>Replaces the file at once.</summary>
    public void Save(string directory) => DurableFile.Replace(Path.Combine(directory, FileName), ToJson() + "\n");

    /// <summary>The file's text.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Format);
}
