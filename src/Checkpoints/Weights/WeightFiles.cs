using System.Text.Json;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

/// <summary>Named tensors on disk, read one at a time; a <see cref="KeyNotFoundException"/> for other names.</summary>
public interface IWeightSource
{
    /// <summary>Where they are, for messages.</summary>
    string Location { get; }

    /// <summary>The names of all tensors.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>Type and shape of a tensor.</summary>
    SafetensorsInfo Info(string name);

    /// <summary>Reads a tensor as stored; the caller disposes it.</summary>
    Tensor Read(string name);

    /// <summary>Whether a slice is read without the rest of its tensor.</summary>
    bool ReadsSlices => false;

    /// <summary>Reads consecutive elements as stored, from <paramref name="start"/> in row-major order; the caller disposes them.</summary>
    Tensor Read(string name, long start, IReadOnlyList<long> shape)
    {
        using Tensor whole = Read(name);
        using Tensor flat = whole.reshape(-1);
        using Tensor slice = flat.narrow(0, start, shape.Aggregate(1L, (product, extent) => product * extent));
        return slice.reshape([.. shape]).clone();
    }
}

/// <summary>Named tensors that are open until disposed.</summary>
public interface IOpenWeights : IWeightSource, IDisposable;

/// <summary>Safetensors files: one, or the shards that an index lists (<c>model.safetensors.index.json</c>).</summary>
public sealed class WeightFiles : IOpenWeights
{
    /// <summary>The file of a model that is not sharded.</summary>
    public const string Single = "model.safetensors";

    /// <summary>The file that says which shard holds each tensor.</summary>
    public const string Index = "model.safetensors.index.json";

    private readonly Dictionary<string, SafetensorsFile> files = [];
    private readonly Dictionary<string, SafetensorsFile> fileOf = []; // by tensor name

    private WeightFiles(string location) => Location = location;

    /// <inheritdoc/>
    public string Location { get; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => fileOf.Keys;

    /// <summary>Opens one file.</summary>
    /// <exception cref="UserException">It is missing, damaged or truncated; the message names it.</exception>
    public static WeightFiles OpenFile(string path)
    {
        WeightFiles weights = new(path);
        SafetensorsFile file = weights.Open(path);
        foreach (string name in file.Names) weights.fileOf.Add(name, file);
        return weights;
    }

    /// <summary>Opens a Hugging Face directory: <see cref="Index"/> and all its shards, or <see cref="Single"/>.</summary>
    internal static WeightFiles OpenDirectory(string directory)
    {
        string index = Path.Combine(directory, Index);
        if (File.Exists(index)) return OpenShards(directory, index);
        string single = Path.Combine(directory, Single);
        if (File.Exists(single)) return OpenFile(single);
        throw new UserException(Directory.EnumerateFiles(directory, "*.bin").Any()
            ? $"{directory}: its weights are pickles (.bin), which can run code when they are read; "
                + "save the model as safetensors (save_pretrained does) and import that"
            : $"{directory}: there is neither {Single} nor {Index}; give the directory of a Hugging Face checkpoint");
    }

    /// <inheritdoc/>
    public SafetensorsInfo Info(string name) => FileOf(name).Info(name);

    /// <inheritdoc/>
    public bool ReadsSlices => true;

    /// <inheritdoc/>
    public Tensor Read(string name) => FileOf(name).Read(name);

    /// <inheritdoc/>
    public Tensor Read(string name, long start, IReadOnlyList<long> shape) => FileOf(name).Read(name, start, shape);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafetensorsFile file in files.Values) file.Dispose();
    }

    private static WeightFiles OpenShards(string directory, string index)
    {
        WeightFiles weights = new(index);
        try
        {
            foreach ((string name, string shard) in ReadIndex(index)) weights.Add(name, Path.Combine(directory, shard), index);
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private void Add(string name, string shard, string index)
    {
        SafetensorsFile file = files.TryGetValue(shard, out SafetensorsFile? open) ? open : Open(shard);
        if (!file.Contains(name))
            throw new UserException(
                $"{index}: it places {name} in {Path.GetFileName(shard)}, which does not hold it; download the checkpoint again");
        fileOf.Add(name, file);
    }

    private static IReadOnlyDictionary<string, string> ReadIndex(string index)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(index));
            Dictionary<string, string> map = document.RootElement.GetProperty("weight_map").Deserialize<Dictionary<string, string>>()!;
            if (map.Values.FirstOrDefault(shard => Path.GetFileName(shard) != shard) is { } outside)
                throw new UserException($"{index}: weight_map names the shard \"{outside}\", which must be a file beside it");
            return map;
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new UserException(
                $"{index}: it is no index of shards ({error.Message}); it must hold an object weight_map from tensor names to file names",
                error);
        }
    }

    private SafetensorsFile Open(string path)
    {
        try
        {
            return files[path] = SafetensorsFile.Open(path);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new UserException($"{path}: it is missing, and the model is not whole without it; download the checkpoint again", error);
        }
        catch (Exception error) when (error is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: it cannot be read: {error.Message}", error);
        }
    }

    private SafetensorsFile FileOf(string name) =>
        fileOf.TryGetValue(name, out SafetensorsFile? file)
            ? file
            : throw new KeyNotFoundException($"{Location} holds no tensor '{name}'.");
}
