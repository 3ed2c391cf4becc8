using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>Named tensors to and from safetensors files, strictly: all names, all shapes, or an error.</summary>
public static class TensorFile
{
    private const int Listed = 8;
    private const long NumbersAtOnce = 1 << 19;

    /// <summary>Writes tensors, whichever device they are on.</summary>
    public static void Save(string path, IEnumerable<(string Name, Tensor Value)> tensors) => Safetensors.Write(path, tensors);

    /// <summary>Copies a file's values into tensors that exist already; float32 is rounded for those that are bfloat16 or blocks of 8 bits.</summary>
    /// <param name="path">A safetensors file.</param>
    /// <param name="targets">Every tensor that the file must hold, and no other.</param>
    /// <param name="owner">Whose tensors they are, for messages.</param>
    /// <exception cref="UserException">A name is missing or too many, or a shape or type differs.</exception>
    public static void Load(string path, IReadOnlyList<(string Name, Tensor Value)> targets, string owner)
    {
        using WeightFiles file = WeightFiles.OpenFile(path);
        Load(file, targets, owner);
    }

    /// <summary>Copies values that are read one at a time into tensors that exist already.</summary>
    /// <exception cref="UserException">As for a file.</exception>
    public static void Load(IWeightSource source, IReadOnlyList<(string Name, Tensor Value)> targets, string owner)
    {
        using IDisposable quiet = no_grad();
        string[] differences = [.. Differences(source, targets)];
        if (differences.Length > 0) throw Mismatch(source.Location, owner, differences);

        foreach ((string name, Tensor value) in targets)
        {
            using DisposeScope scope = NewDisposeScope();
            if (source.ReadsParts && value.is_contiguous()) CopyByParts(source, name, value.view(-1));
            else value.copy_(Converted(source.Read(name), value.dtype));
        }
    }

    // Beside a large tensor no second one is held.
    private static void CopyByParts(IWeightSource source, string name, Tensor numbers)
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
            else if (file.Info(name).Type != value.dtype && !(file.Info(name).Type == ScalarType.Float32 && value.dtype is ScalarType.BFloat16 or ScalarType.Int8))
                yield return $"{name} is {file.Info(name).Type} in the file, {value.dtype} here";
        }
        foreach (string name in left.Order(StringComparer.Ordinal))
            yield return $"{name} {Shape(file.Info(name).Shape)} is in the file only";
    }

    // The shape of the numbers that a tensor stands for.
    private static long[] Numbers(Tensor value) =>
        value.dtype == ScalarType.Int8 ? [.. value.shape[..^1], value.size(-1) / BlockQuantization.BlockBytes * BlockQuantization.BlockLength] : value.shape;

    private static UserException Mismatch(string path, string owner, string[] differences)
    {
        string more = differences.Length > Listed ? $"\n  … and {differences.Length - Listed} more" : "";
        return new UserException($"{path}: it does not fit {owner}:\n  {string.Join("\n  ", differences.Take(Listed))}{more}");
    }

    private static string Shape(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
