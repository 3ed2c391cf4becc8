using System.Text.Json;
using Trainer.Configuration;

namespace Trainer.Checkpoints.Adapters;

/// <summary>The checkpoint whose weights an adapter goes on: <c>adapter.json</c> of a checkpoint that holds the adapter alone.</summary>
/// <param name="Base">Its directory, as recipes name it.</param>
/// <param name="Sha256">The hash of its <c>model.safetensors</c>, in lower case.</param>
public sealed record AdapterBase(string Base, string Sha256)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Describes a checkpoint as a base.</summary>
    public static AdapterBase Of(Checkpoint checkpoint) =>
        new(checkpoint.Directory, checkpoint.WeightsSha256);

    /// <summary>The file to write beside the adapter's weights.</summary>
    public PendingFile ToFile() => new(CheckpointFiles.Adapter, path =>
        File.WriteAllText(path, JsonSerializer.Serialize(this, Format) + "\n"));

    /// <summary>Reads that of a checkpoint's directory.</summary>
    /// <exception cref="UserException">It is missing or cannot be read.</exception>
    public static AdapterBase Load(string directory)
    {
        string path = Path.Combine(directory, CheckpointFiles.Adapter);
        try
        {
            string text = File.ReadAllText(path);
            return JsonSerializer.Deserialize<AdapterBase>(text, Format) is { Base: not null, Sha256: not null } read
                ? read
                : throw new UserException($"{path}: it does not name a base and its sha256; use another checkpoint of the run");
        }
        catch (Exception error) when (error is IOException or JsonException)
        {
            throw new UserException(
                $"{path}: it cannot be read ({error.Message}), and says what the adapter goes on; use another checkpoint", error);
        }
    }

    /// <summary>Opens the base of the adapter in <paramref name="directory"/>, which must have the weights it was trained on.</summary>
    /// <exception cref="UserException">It is gone, or has other weights; the message has both hashes.</exception>
    public Checkpoint Open(string directory)
    {
        if (!Directory.Exists(Base))
            throw new UserException(
                $"{directory}: it holds an adapter alone, and its base, {Base} as seen from the working directory, is not there; name " +
                $"the checkpoint whose {CheckpointFiles.Model} has the SHA-256 {Sha256} by --base (in a recipe, initialize.from), or put " +
                "it in that place");
        Checkpoint found = Checkpoint.Open(Base);
        string hash = Of(found).Sha256;
        return hash == Sha256
            ? found
            : throw new UserException(
                $"{directory}: its adapter goes on weights with the SHA-256 {Sha256}, and those in {found.Directory} have {hash}; " +
                "name the checkpoint that it was trained on by --base, or put it in that place");
    }
}
