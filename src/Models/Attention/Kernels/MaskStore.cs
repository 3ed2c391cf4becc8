using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>The mask and the tiles of the last shape seen for each pattern, shared by all layers of a model, so that training makes
/// each only once.</summary>
/// <remarks>Safe for several threads that ask for the same shape of a pattern, as the parts of a training step do: a mask lives until
/// another shape is asked for.</remarks>
internal sealed class MaskStore : IDisposable
{
    private readonly LastOfEach<Tensor> masks = new();
    private readonly LastOfEach<TilePlan> plans = new();

    /// <summary>The mask (T, S) of queries over keys, true where visible. The store owns it.</summary>
    public Tensor Get(AttentionPattern pattern, PositionSpan queries, PositionSpan keys, Device device) =>
        masks.Get(pattern, (queries, keys, device.Key), () => Constants.Own(() => pattern.Mask(queries, keys, device)));

    /// <summary>The tiles of queries over keys. The store owns them.</summary>
    public TilePlan Plan(AttentionPattern pattern, PositionSpan queries, PositionSpan keys, Device device) =>
        plans.Get(pattern, (queries, keys, device.Key), () => TilePlan.Create(pattern, queries, keys, device));

    /// <summary>Frees all of them; they are made anew when they are asked for.</summary>
    public void Clear()
    {
        masks.Dispose();
        plans.Dispose();
    }

    public void Dispose() => Clear();

    private sealed class LastOfEach<T> : IDisposable
        where T : IDisposable
    {
        private readonly Dictionary<AttentionPattern, ((PositionSpan Queries, PositionSpan Keys, (DeviceType, int) Device) Shape, T Made)> entries = [];

        public T Get(AttentionPattern pattern, (PositionSpan Queries, PositionSpan Keys, (DeviceType, int) Device) shape, Func<T> make)
        {
            lock (entries)
            {
                if (entries.TryGetValue(pattern, out var entry))
                {
                    if (entry.Shape.Equals(shape)) return entry.Made;
                    entry.Made.Dispose();
                }
                T made = make();
                entries[pattern] = (shape, made);
                return made;
            }
        }

        public void Dispose()
        {
            foreach (var entry in entries.Values) entry.Made.Dispose();
            entries.Clear();
        }
    }
}
