using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Training.Plan;

/// <summary>What a recipe is wanted for: a text, and the time it may take or the depth it should have.</summary>
public sealed record RecipeGoal
{
    /// <summary>A file, a folder or a glob, or the name of a corpus that needs none, such as <c>dotnet-docs</c>.</summary>
    public required string Data { get; init; }

    /// <summary>The time that training takes; null with <see cref="Depth"/>.</summary>
    public TimeSpan? Time { get; init; }

    /// <summary>The number of layers; null to follow from the time.</summary>
    public int? Depth { get; init; }

    /// <summary>The most bytes that tensors may take in training; null for four fifths of the machine's. The program itself takes some
    /// 300 MB more.</summary>
    public long? Memory { get; init; }

    /// <summary>How long to measure; null for a tenth of <see cref="Time"/>, and a minute at most.</summary>
    public TimeSpan? Measuring { get; init; }
}

/// <summary>A recipe, and what it is expected to come to.</summary>
/// <param name="Json">The recipe, as a file would have it.</param>
/// <param name="Parameters">Learned numbers.</param>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Tokens">Tokens of all steps.</param>
/// <param name="Epochs">How often the text is read.</param>
/// <param name="Seconds">Of the run, with evaluations.</param>
/// <param name="PeakBytes">Of tensors, by a run of some steps; null where the system does not count them.</param>
/// <param name="Loss">Of the last evaluation, in nats a token, as two short runs promise; null where these were too short to tell.</param>
/// <param name="Reasons">How it was chosen, a line each.</param>
public sealed record RecipePlan(
    [property: JsonPropertyName("recipe")] JsonObject Json, long Parameters, long Steps, long Tokens, double Epochs, double Seconds,
    long? PeakBytes, double? Loss, IReadOnlyList<string> Reasons)
{
    /// <summary>The file's text.</summary>
    [JsonIgnore]
    public string Text => ConfigurationJson.Format(Json) + "\n";

    /// <summary>Before the measuring: a recipe that is there is not overwritten.</summary>
    /// <exception cref="UserException">There is such a file.</exception>
    public static void RequireFree(string path)
    {
        if (File.Exists(path)) throw new UserException($"{path}: there is such a file already; remove it or choose another --out");
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: its folder cannot be made: {error.Message}", error);
        }
    }

    /// <summary>Writes the recipe, whole or not at all.</summary>
    /// <exception cref="UserException">There is such a file, or it cannot be written.</exception>
    public void Save(string path)
    {
        RequireFree(path);
        DurableFile.Replace(path, Text);
    }
}
