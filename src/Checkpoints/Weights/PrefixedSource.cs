using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

/// <summary>Weights of a bare model under the names they have when a head stands on it.</summary>
/// <param name="inner">The bare model's weights.</param>
/// <param name="prefix">What the names lack.</param>
/// <param name="expected">The full names; others keep theirs.</param>
internal sealed class PrefixedSource(IWeightSource inner, string prefix, IReadOnlySet<string> expected) : IWeightSource
{
    public string Location => inner.Location;

    public IReadOnlyCollection<string> Names => [.. inner.Names.Select(name => expected.Contains(name) ? name : prefix + name)];

    public SafetensorsInfo Info(string name) => inner.Info(Stored(name));

    public bool ReadsParts => inner.ReadsParts;

    public Tensor Read(string name) => inner.Read(Stored(name));

    public Tensor Read(string name, long start, IReadOnlyList<long> shape) => inner.Read(Stored(name), start, shape);

    private string Stored(string name) => inner.Names.Contains(name) ? name : name[prefix.Length..];
}
