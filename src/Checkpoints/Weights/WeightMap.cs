using TorchSharp;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

/// <summary>All weights of a model, here and in another format; every tensor of both sides is in exactly one rule.</summary>
internal sealed class WeightMap(IReadOnlyList<WeightRule> rules)
{
    private const int MaximumListed = 8;

    /// <summary>External tensors that may be missing and are not read: copies of tied weights, buffers.</summary>
    public Func<string, bool> Ignored { get; init; } = _ => false;

    /// <summary>The prefix of external names that files of a model saved without its head lack: <c>transformer.</c> for GPT-2.</summary>
    public string BasePrefix { get; init; } = "";

    /// <summary>The usual name of an external tensor, by the one with <see cref="BasePrefix"/> that it is stored under; where both are
    /// there, it keeps its own.</summary>
    public Func<string, string> Renamed { get; init; } = name => name;

    /// <summary>External tensors that are zero where they are missing.</summary>
    public IReadOnlyList<string> Zeros { get; init; } = [];

    public IEnumerable<NamedShape> Native => rules.SelectMany(rule => rule.Native);

    public IEnumerable<NamedShape> External => rules.SelectMany(rule => rule.External);

    /// <summary>The rule of a tensor here; null where there is none.</summary>
    public WeightRule? RuleOf(string native) => rules.FirstOrDefault(rule => rule.Native.Any(shape => shape.Name == native));

    /// <summary>The rule of a tensor there; null where there is none.</summary>
    public WeightRule? RuleOfExternal(string external) => rules.FirstOrDefault(
        rule => rule.Native.Count > 0 && rule.External.Any(shape => shape.Name == external));

    /// <summary>The model's tensors in float32, each read from <paramref name="external"/>, which stays open, when it is written.</summary>
    public IReadOnlyList<PendingTensor> Import(IWeightSource external)
    {
        IWeightSource named = Named(external);
        Require(named, [.. External], Ignored);
        return [.. rules.SelectMany(rule => rule.Native.Select((native, index) => Pending(
            native,
            ScalarType.Float32,
            () => Make(() => rule.External.Select(shape => named.Read(shape.Name)), rule.ToNative, index))))];
    }

    private NamedSource Named(IWeightSource external)
    {
        HashSet<string> expected = [.. External.Select(shape => shape.Name)];
        bool lacksPrefix = BasePrefix.Length > 0
            && !external.Names.Any(name => name.StartsWith(BasePrefix, StringComparison.Ordinal));
        Dictionary<string, string> prefixed = external.Names.ToDictionary(
            name => lacksPrefix && !expected.Contains(name) ? BasePrefix + name : name);
        HashSet<string> names = [.. prefixed.Keys];
        return new(
            external,
            prefixed.ToDictionary(entry => names.Contains(Renamed(entry.Key)) ? entry.Key : Renamed(entry.Key), entry => entry.Value),
            External.Where(shape => Zeros.Contains(shape.Name) && !names.Contains(shape.Name)).ToDictionary(shape => shape.Name));
    }

    /// <summary>The other format's tensors, each read from <paramref name="native"/>, which stays open, when it is written.</summary>
    public IReadOnlyList<PendingTensor> Export(IWeightSource native, ScalarType type)
    {
        Require(native, [.. Native], _ => false);
        return [.. rules.SelectMany(rule => rule.External.Select((external, index) => Pending(
            external,
            type,
            () => InRange(external.Name, Make(() => Sources(native, rule, index), rule.ToExternal, index), type))))];
    }

    private static Tensor InRange(string name, Tensor numbers, ScalarType type)
    {
        WeightRange.Of(type).Require(name, numbers);
        return numbers;
    }

    private static PendingTensor Pending(NamedShape shape, ScalarType type, Func<Tensor> make) => new(shape.Name, type, shape.Shape, () =>
    {
        using DisposeScope scope = NewDisposeScope();
        return make().to_type(type).contiguous().MoveToOuterDisposeScope();
    });

    private static IEnumerable<Tensor> Sources(IWeightSource native, WeightRule rule, int index) => rule.SliceStarts is { } starts
        ? [native.Read(rule.Native[0].Name, starts[index], rule.External[index].Shape)]
        : rule.Native.Select(shape => native.Read(shape.Name));

    private static Tensor Make(Func<IEnumerable<Tensor>> sources, WeightTransform transform, int index) =>
        transform([.. sources().Select(source => source.to_type(ScalarType.Float32))], index);

    private static void Require(IWeightSource source, IReadOnlyList<NamedShape> expected, Func<string, bool> ignored)
    {
        string[] differences = [.. Differences(source, expected, ignored)];
        if (differences.Length == 0) return;
        string listed = string.Join("\n  ", differences.Take(MaximumListed));
        string more = differences.Length > MaximumListed ? $"\n  … and {differences.Length - MaximumListed} more" : "";
        throw new UserException($"{source.Location}: its tensors do not fit its configuration:\n  {listed}{more}");
    }

    private static IEnumerable<string> Differences(IWeightSource source, IReadOnlyList<NamedShape> expected, Func<string, bool> ignored)
    {
        HashSet<string> left = [.. source.Names];
        foreach ((string name, long[] shape) in expected)
        {
            if (!left.Remove(name)) yield return $"{name} {Text(shape)} is missing";
            else if (!source.Info(name).Shape.SequenceEqual(shape))
                yield return $"{name} is {Text(source.Info(name).Shape)}, and the configuration makes it {Text(shape)}";
            else if (!IsFloat(source.Info(name).Type))
                yield return $"{name} holds {source.Info(name).Type}; float32, float16 and bfloat16 can be read";
        }
        foreach (string name in left.Where(name => !ignored(name)).Order(StringComparer.Ordinal))
            yield return $"{name} {Text(source.Info(name).Shape)} has no place in the model";
    }

    private static bool IsFloat(ScalarType type) =>
        type is ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float64;

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";

    /// <summary>Weights under other names, by which the stored ones are found, and zeros for some that are missing.</summary>
    private sealed class NamedSource(
        IWeightSource inner, IReadOnlyDictionary<string, string> stored, IReadOnlyDictionary<string, NamedShape> zeros) : IWeightSource
    {
        public string Location => inner.Location;

        public IReadOnlyCollection<string> Names { get; } = [.. stored.Keys, .. zeros.Keys];

        public bool ReadsSlices => inner.ReadsSlices;

        public SafetensorsInfo Info(string name) =>
            zeros.TryGetValue(name, out NamedShape? shape) ? new(ScalarType.Float32, shape.Shape, 0, 0) : inner.Info(stored[name]);

        public Tensor Read(string name) =>
            zeros.TryGetValue(name, out NamedShape? shape) ? torch.zeros(shape.Shape) : inner.Read(stored[name]);

        public Tensor Read(string name, long start, IReadOnlyList<long> shape) =>
            zeros.ContainsKey(name) ? torch.zeros([.. shape]) : inner.Read(stored[name], start, shape);
    }
}
