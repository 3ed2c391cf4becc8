using TorchSharp;
using Trainer.Transformers.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Kernels;

/// <summary>The mask of the last shape seen for each pattern, shared by all layers of a model, so that training makes each only once.</summary>
/// <remarks>Not safe for several threads, as the model itself.</remarks>
internal sealed class MaskStore : IDisposable
{
    private readonly Dictionary<AttentionPattern, Entry> entries = [];

    /// <summary>The mask (T, S) of <paramref name="count"/> queries from <paramref name="start"/>, true where visible. The store owns it.</summary>
    public Tensor Get(AttentionPattern pattern, int start, int count, Device device)
    {
        var key = (start, count, device.type, device.index);
        if (entries.TryGetValue(pattern, out Entry? entry))
        {
            if (entry.Key == key) return entry.Mask;
            entry.Mask.Dispose();
        }
        Tensor mask = Constants.Own(() => pattern.Mask(start, count, device));
        entries[pattern] = new(key, mask);
        return mask;
    }

    public void Dispose()
    {
        foreach (Entry entry in entries.Values) entry.Mask.Dispose();
        entries.Clear();
    }

    private sealed record Entry((int Start, int Count, DeviceType Device, int Index) Key, Tensor Mask);
}
