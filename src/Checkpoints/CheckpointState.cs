using System.Text.Json;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>The state of a run besides its weights and optimizer: <c>state.json</c>.</summary>
public sealed record CheckpointState
{
    /// <summary>Optimizer steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Target tokens trained on.</summary>
    public required long Tokens { get; init; }

    /// <summary>The next row of the training data.</summary>
    public required StreamPosition Position { get; init; }

    /// <summary>Identifies the training data, so that a position in other data is never taken for one in this.</summary>
    public required string DataFingerprint { get; init; }

    /// <summary>The states of all random number generators that training uses.</summary>
    public required RandomStates Random { get; init; }

    /// <summary>The lowest validation loss so far, in nats per token; null before the first evaluation.</summary>
    public double? BestLoss { get; init; }

    /// <summary>The step of <see cref="BestLoss"/>.</summary>
    public long? BestStep { get; init; }

    /// <summary>Steps skipped because the loss or a gradient was not finite.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Consecutive skipped steps up to now.</summary>
    public long SkippedInARow { get; init; }

    /// <summary>What the next step is compared with; null where nothing looks for spikes.</summary>
    public SpikeWindow? Spikes { get; init; }

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Writes <c>state.json</c>.</summary>
    public void Save(string path) => File.WriteAllText(path, JsonSerializer.Serialize(this, Format) + "\n");

    /// <summary>Reads the state of a checkpoint.</summary>
    /// <exception cref="UserException">It is missing or cannot be read.</exception>
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
            throw new UserException(
                $"{path}: it is missing, so training cannot go on from this checkpoint; only a checkpoint written by train can be resumed.",
                error);
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: it cannot be read ({error.Message}); use an earlier checkpoint of the run.", error);
        }
    }
}

/// <summary>Losses and gradient norms of the last steps, the oldest first, and the spikes skipped since the run began.</summary>
public sealed record SpikeWindow(IReadOnlyList<double> Losses, IReadOnlyList<double> GradientNorms, long Skipped);

/// <summary>The states of the random number generators for dropout; Cuda is null if the run uses no GPU.</summary>
public sealed record RandomStates(byte[] Cpu, byte[]? Cuda)
{
    /// <summary>Copies the current states.</summary>
    public static RandomStates Capture(Device device) =>
        new(StateOf(CPU), device.type == DeviceType.CUDA ? StateOf(device) : null);

    /// <summary>Restores the generators; a state saved on another kind of device is not used.</summary>
    public void Restore(Device device)
    {
        Restore(CPU, Cpu);
        if (device.type == DeviceType.CUDA && Cuda is not null) Restore(device, Cuda);
    }

    private static byte[] StateOf(Device device)
    {
        using Generator generator = DefaultGenerators.Of(device);
        using Tensor state = generator.get_state();
        return state.data<byte>().ToArray();
    }

    private static void Restore(Device device, byte[] bytes)
    {
        using Generator generator = DefaultGenerators.Of(device);
        using Tensor state = tensor(bytes);
        generator.set_state(state);
    }
}
