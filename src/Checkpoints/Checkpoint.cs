using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>A checkpoint on disk, verified: its configuration, its tokenizer, and a model with its weights on request.</summary>
public sealed class Checkpoint
{
    private Checkpoint(string directory, CheckpointConfiguration configuration, Tokenizer tokenizer, CheckpointManifest manifest) =>
        (Directory, Configuration, Tokenizer, Manifest) = (directory, configuration, tokenizer, manifest);

    /// <summary>Its directory.</summary>
    public string Directory { get; }

    /// <summary>What its resolved recipe says of the model, its tokenizer and its data.</summary>
    public CheckpointConfiguration Configuration { get; }

    /// <summary>The options of its model.</summary>
    public ModelOptions Model => Configuration.Model;

    /// <summary>The tokenizer it was trained with.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Its files with their sizes and hashes.</summary>
    public CheckpointManifest Manifest { get; }

    /// <summary>Opens a checkpoint and verifies every file of it.</summary>
    /// <param name="path">A checkpoint directory; a run directory (its best, else its newest); or <c>checkpoints/best</c> or
    /// <c>checkpoints/last</c> of one.</param>
    /// <returns>The checkpoint.</returns>
    /// <exception cref="UserException">There is none, or it is damaged; the message says which file and how.</exception>
    public static Checkpoint Open(string path)
    {
        string directory = CheckpointLocator.Find(path);
        CheckpointManifest manifest = CheckpointManifest.Verify(
            directory, CheckpointFiles.Model, CheckpointFiles.Configuration, CheckpointFiles.Tokenizer);
        return new Checkpoint(
            directory, CheckpointConfiguration.Read(Path.Combine(directory, CheckpointFiles.Configuration)),
            Tokenizer.Load(Path.Combine(directory, CheckpointFiles.Tokenizer)), manifest);
    }

    /// <summary>Builds the model and loads its weights.</summary>
    /// <param name="device">Where to put it.</param>
    /// <param name="precision">How it holds and multiplies its matrices.</param>
    /// <returns>The model in evaluation mode; the caller disposes it.</returns>
    /// <exception cref="UserException">The weights do not fit the configuration, or the model or device has no such precision.</exception>
    public LanguageModel LoadModel(Device device, InferencePrecision precision = InferencePrecision.Float32)
    {
        if (precision == InferencePrecision.Int8 && device.type != DeviceType.CPU)
            throw new UserException($"int8 is for the CPU, and the device is {device}; use --precision bfloat16 there, or --device cpu");
        LanguageModel model = Model.BuildForInference(Tokenizer.VocabularySize, precision.ToComputeType()).to(device);
        try
        {
            ModelWeights.Load(model, Path.Combine(Directory, CheckpointFiles.Model));
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Rows that its training computed at once, so that evaluations fit where training did.</summary>
    public int RowsAtOnce => Configuration.RowsAtOnce;

    /// <summary>Where its training stood.</summary>
    /// <returns>The content of <c>state.json</c>.</returns>
    /// <exception cref="UserException">It has none, because it was not written by <c>train</c>.</exception>
    public CheckpointState LoadState() => CheckpointState.Load(Directory);
}
