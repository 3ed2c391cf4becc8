using Trainer.Transformers.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Kernels;

/// <summary>The mask of the last shape seen for each pattern, shared by all layers of a model, so that training makes each only once.</summary>
/// <remarks>Safe for several threads that ask for the same shape of a pattern, as the parts of a training step do: a mask lives until
/// another shape is asked for.</remarks>
internal sealed class MaskStore : IDisposable
{
    private readonly Dictionary<AttentionPattern, Entry> entries = [];

    /// <summary>The mask (T, S) of queries over keys, true where visible. The store owns it.</summary>
    public Tensor Get(AttentionPattern pattern, PositionSpan queries, PositionSpan keys, Device device)
    {
        lock (entries)
        {
            var key = (queries, keys, device);
            if (entries.TryGetValue(pattern, out Entry? entry))
            {
                if (entry.Key.Equals(key)) return entry.Mask;
                entry.Mask.Dispose();
            }
            Tensor mask = Constants.Own(() => pattern.Mask(queries, keys, device));
            entries[pattern] = new(key, mask);
            return mask;
        }
    }

    public void Dispose()
    {
        foreach (Entry entry in entries.Values) entry.Mask.Dispose();
        entries.Clear();
    }

    private sealed record Entry((PositionSpan Queries, PositionSpan Keys, Device Device) Key, Tensor Mask);
}
