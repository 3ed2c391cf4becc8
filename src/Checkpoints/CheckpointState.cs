using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Checkpoints;

/// <summary>Where a run stands, apart from its weights and optimizer: the content of <c>state.json</c>.</summary>
public sealed record CheckpointState
{
    /// <summary>Optimizer steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Target tokens trained on.</summary>
    public required long Tokens { get; init; }

    /// <summary>The next row of the training data.</summary>
    public required StreamPosition Position { get; init; }

    /// <summary>What the training text was, so that a position in another text is never taken for one in this.</summary>
    public required string DataFingerprint { get; init; }

    /// <summary>The state of every random number generator that training draws from.</summary>
    public required RandomStates Random { get; init; }

    /// <summary>The lowest validation loss so far, in nats per token; <c>null</c> before the first evaluation.</summary>
    public double? BestLoss { get; init; }

    /// <summary>The step of <see cref="BestLoss"/>.</summary>
    public long? BestStep { get; init; }

    /// <summary>Steps whose update was skipped because the loss or a gradient was not finite.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>How many of the last steps in a row were skipped.</summary>
    public long SkippedInARow { get; init; }

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Writes <c>state.json</c>.</summary>
    public void Save(string path) => File.WriteAllText(path, JsonSerializer.Serialize(this, Format) + "\n");

    /// <summary>Reads the state of a checkpoint.</summary>
    /// <param name="directory">A checkpoint directory.</param>
    /// <returns>The state.</returns>
    /// <exception cref="UserException">There is none, or it does not belong to this version.</exception>
    public static CheckpointState Load(string directory)
    {
        string path = Path.Combine(directory, CheckpointFiles.State);
        try
        {
            return JsonSerializer.Deserialize<CheckpointState>(File.ReadAllText(path), Format)
                ?? throw new UserException($"{path}: it is empty; use an earlier checkpoint of the run.");
        }
        catch (FileNotFoundException error)
        {
            throw new UserException($"{path}: it is missing, so training cannot go on from this checkpoint; only a checkpoint written by train can be resumed.", error);
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: it cannot be read ({error.Message}); use an earlier checkpoint of the run.", error);
        }
    }
}
