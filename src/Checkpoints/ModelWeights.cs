using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>Saves and loads a model's weights, <c>model.safetensors</c>.</summary>
public static class ModelWeights
{
    /// <summary>Saves all parameters and persistent buffers, each once, named after the model's modules.</summary>
    public static void Save(SequenceModel model, string path) => TensorFile.Save(path, Of(model));

    /// <summary>Loads a file with exactly the model's names and shapes.</summary>
    /// <exception cref="UserException">A name is missing or unexpected, or a shape differs; the message lists them.</exception>
    public static void Load(SequenceModel model, string path) => TensorFile.Load(path, [.. Of(model)], "the model");

    /// <summary>Streams weights into the model one tensor at a time, converting if needed.</summary>
    public static void Load(SequenceModel model, IWeightSource source) => TensorFile.Load(source, [.. Of(model)], "the model");

    /// <summary>All parameters and persistent buffers, each once, by name; of a model with adapters those that are trained.</summary>
    public static IEnumerable<(string Name, Tensor Value)> Of(SequenceModel model) =>
        model.state_dict().Where(entry => model.Adapter is null || entry.Value.requires_grad).Select(entry => (entry.Key, entry.Value));
}

/// <summary>Saves and loads named tensors strictly: all names and shapes must match.</summary>
public static class TensorFile
{
    private const int MaximumListed = 8;
    private const long NumbersAtOnce = 1 << 19;

    /// <summary>Writes tensors, on any device.</summary>
    public static void Save(string path, IEnumerable<(string Name, Tensor Value)> tensors) => Safetensors.Write(path, tensors);

    /// <summary>Copies a file into its <paramref name="owner"/>'s tensors; float32 is rounded for bfloat16 or 8-bit blocks.</summary>
    /// <exception cref="UserException">A name is missing or unexpected, or a shape or type differs.</exception>
    public static void Load(string path, IReadOnlyList<(string Name, Tensor Value)> targets, string owner)
    {
        using WeightFiles file = WeightFiles.OpenFile(path);
        Load(file, targets, owner);
    }

    /// <summary>Copies parts of a file's tensors; others may be in it.</summary>
    /// <exception cref="UserException">A name is missing, or a shape differs.</exception>
    public static void LoadParts(string path, IReadOnlyList<TensorPart> parts, string owner)
    {
        using WeightFiles opened = WeightFiles.OpenFile(path);
        IWeightSource file = opened;
        using IDisposable quiet = no_grad();
        HashSet<string> names = [.. file.Names];
        string[] differences = [.. parts.SelectMany(part => Difference(part))];
        if (differences.Length > 0) throw Mismatch(path, owner, differences);
        foreach (TensorPart part in parts)
        {
            using DisposeScope scope = NewDisposeScope();
            part.Value.view(-1).copy_(file.Read(part.Name, part.From, [part.Value.numel()]));
        }

        IEnumerable<string> Difference(TensorPart part)
        {
            if (!names.Contains(part.Name)) yield return $"{part.Name} {Shape(part.Shape)} is missing from the file";
            else if (!file.Info(part.Name).Shape.SequenceEqual(part.Shape))
                yield return $"{part.Name} is {Shape(file.Info(part.Name).Shape)} in the file, {Shape(part.Shape)} here";
        }
    }

    internal static void Load(IWeightSource source, IReadOnlyList<(string Name, Tensor Value)> targets, string owner)
    {
        using IDisposable quiet = no_grad();
        string[] differences = [.. Differences(source, targets)];
        if (differences.Length > 0) throw Mismatch(source.Location, owner, differences);

        foreach ((string name, Tensor value) in targets)
        {
            using DisposeScope scope = NewDisposeScope();
            if (source.ReadsSlices && value.is_contiguous()) CopyInSlices(source, name, value.view(-1));
            else value.copy_(Converted(source.Read(name), value.dtype));
        }
    }

    // No second copy of a large tensor is in memory.
    private static void CopyInSlices(IWeightSource source, string name, Tensor numbers)
    {
        long length = source.Info(name).Shape.Aggregate(1L, (product, extent) => product * extent);
        for (long start = 0; start < length; start += NumbersAtOnce)
        {
            using DisposeScope scope = NewDisposeScope();
            long count = Math.Min(NumbersAtOnce, length - start);
            numbers.narrow(0, Stored(start), Stored(count)).copy_(Converted(source.Read(name, start, [count]), numbers.dtype));
        }

        long Stored(long count) => numbers.dtype == ScalarType.Int8 ? BlockQuantization.Bytes(count) : count;
    }

    private static Tensor Converted(Tensor numbers, ScalarType type) =>
        type == ScalarType.Int8 && numbers.dtype == ScalarType.Float32 ? ComputeWeight.Round(numbers, type) : numbers;

    private static IEnumerable<string> Differences(IWeightSource file, IReadOnlyList<(string Name, Tensor Value)> targets)
    {
        HashSet<string> left = [.. file.Names];
        foreach ((string name, Tensor value) in targets)
        {
            if (!left.Remove(name)) yield return $"{name} {Shape(value.shape)} is missing from the file";
            else if (!file.Info(name).Shape.SequenceEqual(Numbers(value)))
                yield return $"{name} is {Shape(file.Info(name).Shape)} in the file, {Shape(Numbers(value))} here";
            else if (file.Info(name).Type != value.dtype
                && !(file.Info(name).Type == ScalarType.Float32 && value.dtype is ScalarType.BFloat16 or ScalarType.Int8))
                yield return $"{name} is {file.Info(name).Type} in the file, {value.dtype} here";
        }
        foreach (string name in left.Order(StringComparer.Ordinal))
            yield return $"{name} {Shape(file.Info(name).Shape)} is in the file only";
    }

    // The shape of the numbers that a tensor holds: 8-bit blocks are unpacked.
    private static long[] Numbers(Tensor value) => value.dtype == ScalarType.Int8
        ? [.. value.shape[..^1], value.size(-1) / BlockQuantization.BlockBytes * BlockQuantization.BlockLength]
        : value.shape;

    private static UserException Mismatch(string path, string owner, string[] differences)
    {
        string more = differences.Length > MaximumListed ? $"\n  … and {differences.Length - MaximumListed} more" : "";
        return new UserException($"{path}: it does not fit {owner}:\n  {string.Join("\n  ", differences.Take(MaximumListed))}{more}");
    }

    private static string Shape(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}

/// <summary>Consecutive numbers of a named tensor in a file, from <c>From</c> on in row-major order, and where they go.</summary>
public sealed record TensorPart(string Name, IReadOnlyList<long> Shape, long From, Tensor Value);
