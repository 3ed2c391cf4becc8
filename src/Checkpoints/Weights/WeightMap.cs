using TorchSharp;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

/// <summary>All weights of a model in two layouts. Either is made from files of the other, one rule at a time.</summary>
/// <param name="rules">Every tensor of both sides stands in exactly one rule.</param>
internal sealed class WeightMap(IReadOnlyList<WeightRule> rules)
{
    private const int Listed = 8;

    /// <summary>Tensors of theirs that need not be there and are not read: copies of tied weights, buffers.</summary>
    public Func<string, bool> Ignored { get; init; } = _ => false;

    /// <summary>What theirs begin with when a head stands on them, and may lack: <c>transformer.</c> in GPT-2's files.</summary>
    public string BasePrefix { get; init; } = "";

    /// <summary>Our names and shapes.</summary>
    public IEnumerable<NamedShape> Ours => rules.SelectMany(rule => rule.Ours);

    /// <summary>Their names and shapes.</summary>
    public IEnumerable<NamedShape> Theirs => rules.SelectMany(rule => rule.Theirs);

    /// <summary>Our tensors, float32, to be read from their files when they are written.</summary>
    /// <param name="theirs">Open while the result is used.</param>
    /// <exception cref="UserException">A tensor is missing, too many, or has another shape; the message lists them.</exception>
    public IReadOnlyList<PendingTensor> Import(IWeightSource theirs)
    {
        IWeightSource named = BasePrefix.Length > 0 && !theirs.Names.Any(name => name.StartsWith(BasePrefix, StringComparison.Ordinal))
            ? new PrefixedSource(theirs, BasePrefix, Theirs.Select(shape => shape.Name).ToHashSet())
            : theirs;
        Require(named, [.. Theirs], Ignored);
        return [.. rules.SelectMany(rule => rule.Ours.Select((ours, index) =>
            Pending(ours, ScalarType.Float32, () => Make(() => rule.Theirs.Select(shape => named.Read(shape.Name)), rule.ToOurs, index))))];
    }

    /// <summary>Their tensors, to be read from our file when they are written.</summary>
    /// <param name="ours">Open while the result is used.</param>
    /// <param name="type">The type they get.</param>
    /// <exception cref="UserException">As for <see cref="Import"/>; and a tensor, when it is read, if it holds a number that the type does not.</exception>
    public IReadOnlyList<PendingTensor> Export(IWeightSource ours, ScalarType type)
    {
        Require(ours, [.. Ours], _ => false);
        return [.. rules.SelectMany(rule => rule.Theirs.Select((theirs, index) =>
            Pending(theirs, type, () => Fitting(theirs.Name, Make(() => Sources(ours, rule, index), rule.ToTheirs, index), type))))];
    }

    private static Tensor Fitting(string name, Tensor numbers, ScalarType type)
    {
        WeightRange.Of(type).Require(name, numbers);
        return numbers;
    }

    private static PendingTensor Pending(NamedShape shape, ScalarType type, Func<Tensor> make) => new(shape.Name, type, shape.Shape, () =>
    {
        using DisposeScope scope = NewDisposeScope();
        return make().to_type(type).contiguous().MoveToOuterDisposeScope();
    });

    private static IEnumerable<Tensor> Sources(IWeightSource ours, WeightRule rule, int index) => rule.Runs is { } starts
        ? [ours.Read(rule.Ours[0].Name, starts[index], rule.Theirs[index].Shape)]
        : rule.Ours.Select(shape => ours.Read(shape.Name));

    private static Tensor Make(Func<IEnumerable<Tensor>> sources, WeightTransform transform, int index) =>
        transform([.. sources().Select(source => source.to_type(ScalarType.Float32))], index);

    private static void Require(IWeightSource source, IReadOnlyList<NamedShape> expected, Func<string, bool> ignored)
    {
        string[] differences = [.. Differences(source, expected, ignored)];
        if (differences.Length == 0) return;
        string more = differences.Length > Listed ? $"\n  … and {differences.Length - Listed} more" : "";
        throw new UserException($"{source.Location}: its tensors do not fit its configuration:\n  {string.Join("\n  ", differences.Take(Listed))}{more}");
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

    private static bool IsFloat(ScalarType type) => type is ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float64;

    private static string Text(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
