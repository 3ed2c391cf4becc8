// Shapes: R rows, C columns.
using System.Collections;
using System.Globalization;
using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Gguf;

/// <summary>A GGUF file beside the checkpoint that it was made of: whether it holds what an export writes. Not thread-safe.</summary>
public sealed class GgufComparison : IDisposable
{
    // An export in another type has another one, which llama.cpp shows and computes nothing from.
    private static readonly string[] Free = ["general.file_type"];

    private readonly Checkpoint checkpoint;
    private readonly GgufWeights file;
    private readonly IOpenWeights own;
    private readonly GgufMetadata metadata;
    private readonly WeightMap map;
    private readonly Dictionary<string, PendingTensor> expected;

    private GgufComparison(Checkpoint checkpoint, GgufWeights file, IOpenWeights own)
    {
        (this.checkpoint, this.file, this.own) = (checkpoint, file, own);
        ExportSource source = CheckpointExport.Source(checkpoint, own);
        (GgufLayout layout, metadata, map) = GgufExport.Describe(source, GgufType.F32);
        (Architecture, VocabularySize) = (layout.Architecture, source.VocabularySize);
        expected = map.Export(own, ScalarType.Float32).ToDictionary(tensor => tensor.Name);
    }

    /// <summary>llama.cpp's name of the architecture.</summary>
    public string Architecture { get; }

    /// <summary>Number of tokens, with rows of the embedding that have none.</summary>
    public int VocabularySize { get; }

    /// <summary>Whether all tensors are in float32, the only type that is read here.</summary>
    public bool IsFloat32 => file.Names.All(name => file.TypeOf(name) == 0);

    /// <summary>How many tensors have each of llama.cpp's types, the most first.</summary>
    public IReadOnlyDictionary<string, int> Types => TypesIn(file);

    /// <summary>Opens a file beside its checkpoint.</summary>
    /// <exception cref="UserException">The file is missing or no GGUF, or llama.cpp lacks the checkpoint's model.</exception>
    public static GgufComparison Open(Checkpoint checkpoint, string path)
    {
        GgufWeights file = GgufWeights.Open(path);
        IOpenWeights own = checkpoint.OpenWeights();
        try
        {
            return new(checkpoint, file, own);
        }
        catch
        {
            own.Dispose();
            file.Dispose();
            throw;
        }
    }

    /// <summary>How many tensors of a file have each of llama.cpp's types, the most first.</summary>
    /// <exception cref="UserException">The file is missing or no GGUF.</exception>
    public static IReadOnlyDictionary<string, int> TypesIn(string path)
    {
        using GgufWeights file = GgufWeights.Open(path);
        return TypesIn(file);
    }

    /// <summary>What is missing or other than in the checkpoint, a line each: sizes, texts, tokens, and names and shapes of tensors. With
    /// such differences it is no file of this model, and the rest cannot be compared.</summary>
    public IEnumerable<string> Structure() =>
        metadata.Entries.Where(entry => !IsSetting(entry)).Select(Difference).OfType<string>().Concat(Shapes());

    /// <summary>Settings of another value, a line each: bases, epsilons, flags, merges, scores.</summary>
    public IEnumerable<string> Settings() => metadata.Entries.Where(IsSetting).Select(Difference).OfType<string>();

    /// <summary>Compares each number with the checkpoint's: rounded to the type that the file stores it in, or, for blocks of less than 8
    /// bits, which are not made here, within what so few bits round.</summary>
    /// <param name="widened">The same file with all tensors in float32.</param>
    public WeightAgreement Weights(string widened)
    {
        using GgufWeights wide = GgufWeights.Open(widened);
        List<string> differences = [];
        double largest = 0;
        foreach (PendingTensor tensor in expected.Values)
        {
            using DisposeScope scope = NewDisposeScope();
            (Tensor wanted, double bound) = Rounded(tensor.Name);
            Tensor found = wide.Read(tensor.Name);
            long columns = tensor.Shape[^1];
            Tensor exact = wanted.reshape(-1, columns), gap = found.reshape(-1, columns) - exact; // (R, C)
            Tensor errors = gap.norm(1) / exact.norm(1).clamp_min(float.Epsilon); // (R)
            Tensor wrong = bound > 0 ? errors.le(bound).logical_not() : found.reshape(-1, columns).eq(exact).all(1).logical_not();
            if (bound > 0) largest = Math.Max(largest, errors.max().item<float>());
            if (wrong.sum().item<long>() is var count and > 0) differences.Add(Difference(tensor, wrong, errors, count, bound));
        }
        return new(differences, largest);
    }

    /// <summary>The checkpoint's model with weights rounded as the file stores them.</summary>
    /// <param name="widened">The same file with all tensors in float32, the source of blocks of less than 8 bits.</param>
    /// <exception cref="UserException">The file lacks a tensor.</exception>
    public LanguageModel LoadModel(string widened)
    {
        using GgufWeights wide = GgufWeights.Open(widened);
        IReadOnlyList<PendingTensor> weights = map.Import(new RoundedWeights(this, wide));
        LanguageModel model = checkpoint.Model.BuildForInference(checkpoint.Tokenizer.VocabularySize);
        ModelWeights.Load(model, new PendingWeights(weights, file.Location));
        return model;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        own.Dispose();
        file.Dispose();
    }

    private static Dictionary<string, int> TypesIn(GgufWeights file) =>
        file.Names.GroupBy(name => GgufTensorTypes.Name(file.TypeOf(name))).OrderByDescending(group => group.Count())
            .ToDictionary(group => group.Key, group => group.Count());

    private static bool IsSetting((string Key, object Value) entry) =>
        entry.Value is float or bool || entry.Key is "tokenizer.ggml.merges" or "tokenizer.ggml.scores";

    private string? Difference((string Key, object Value) entry)
    {
        (string key, object value) = entry;
        if (Free.Contains(key)) return null;
        if (!file.Metadata.TryGetValue(key, out object? found)) return $"{key} is missing";
        if (value is IEnumerable list and not string) return ListDifference(key, list, found);
        return value.Equals(found) ? null : $"{key} is {Text(found)}, and {Text(value)} in the checkpoint";
    }

    private static string? ListDifference(string key, IEnumerable list, object found)
    {
        object[] wanted = [.. list.Cast<object>()], items = found as object[] ?? [found];
        if (wanted.Length != items.Length) return $"{key} has {items.Length} items, and {wanted.Length} in the checkpoint";
        int at = wanted.Zip(items).TakeWhile(pair => pair.First.Equals(pair.Second)).Count();
        return at == wanted.Length ? null : $"{key}, item {at}, is {Text(items[at])}, and {Text(wanted[at])} in the checkpoint";
    }

    private static string Text(object value) =>
        value is string text ? $"\"{text}\"" : Convert.ToString(value, CultureInfo.InvariantCulture)!;

    private IEnumerable<string> Shapes()
    {
        foreach (string name in file.Names.Except(expected.Keys)) yield return $"{name} has no place in the model";
        foreach (PendingTensor tensor in expected.Values)
            if (!file.Names.Contains(tensor.Name)) yield return $"{tensor.Name} is missing";
            else if (!file.Info(tensor.Name).Shape.SequenceEqual(tensor.Shape))
                yield return $"{tensor.Name} is [{string.Join(", ", file.Info(tensor.Name).Shape)}], and " +
                    $"[{string.Join(", ", tensor.Shape)}] in the checkpoint";
    }

    /// <summary>What a tensor of the file should hold, and 0; or the checkpoint's numbers, and how far a row may be from them.</summary>
    private (Tensor Numbers, double Bound) Rounded(string name)
    {
        Tensor numbers = expected[name].Read();
        return file.TypeOf(name) switch
        {
            0 => (numbers, 0),
            1 => (numbers.to_type(ScalarType.Float16).to_type(ScalarType.Float32), 0),
            30 => (numbers.to_type(ScalarType.BFloat16).to_type(ScalarType.Float32), 0),
            8 => (BlockQuantization.Unpack(BlockQuantization.Pack(numbers)), 0),
            // Normal numbers in blocks of b bits are off by about 1.4 · 2⁻ᵇ of their norm; a row that changed, by its whole norm and more.
            var type => (numbers, 4 * Math.Pow(2, -(GgufTensorTypes.Bits(type) ?? 8))),
        };
    }

    private string Difference(PendingTensor tensor, Tensor wrong, Tensor errors, long count, double bound)
    {
        long row = wrong.to_type(ScalarType.Int32).argmax().item<long>();
        string type = GgufTensorTypes.Name(file.TypeOf(tensor.Name));
        string limit = bound > 0 ? $", more than the {bound:G3} of {type}" : $", where {type} has the checkpoint's numbers exactly rounded";
        return string.Create(CultureInfo.InvariantCulture, $"{tensor.Name}: {count} of {wrong.size(0)} rows differ, the first of them " +
            $"row {row}, by {errors[row].item<float>():G3} of its norm{limit}");
    }

    private sealed class RoundedWeights(GgufComparison comparison, GgufWeights wide) : IWeightSource
    {
        public string Location => wide.Location;

        public IReadOnlyCollection<string> Names => wide.Names;

        public SafetensorsInfo Info(string name) => wide.Info(name);

        public Tensor Read(string name)
        {
            using DisposeScope scope = NewDisposeScope();
            (Tensor numbers, double bound) = comparison.Rounded(name);
            return (bound > 0 ? wide.Read(name) : numbers).MoveToOuterDisposeScope();
        }
    }

    private sealed class PendingWeights(IReadOnlyList<PendingTensor> tensors, string location) : IWeightSource
    {
        private readonly Dictionary<string, PendingTensor> byName = tensors.ToDictionary(tensor => tensor.Name);

        public string Location => location;

        public IReadOnlyCollection<string> Names => byName.Keys;

        public SafetensorsInfo Info(string name) => new(byName[name].Type, byName[name].Shape, 0, byName[name].Bytes);

        public Tensor Read(string name) => byName[name].Read();
    }
}

/// <summary>Tensors whose numbers are not the checkpoint's, a line each, and the largest error of a row in blocks of less than 8 bits,
/// relative to its norm.</summary>
public sealed record WeightAgreement(IReadOnlyList<string> Differences, double LargestRowError);
