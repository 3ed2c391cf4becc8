// Shapes: B batch, T query positions, S key positions.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Which document each query and each key belongs to: a query sees keys of its own document only, whatever the pattern would allow.</summary>
/// <remarks>Padding has the id −1, so that a padded query sees the padding and no row of a softmax is ever empty. Owns the ids.</remarks>
/// <param name="queries">(B, T), int64; null where every query sees every key that is not padding (attention to an encoder).</param>
/// <param name="keys">(B, S), int64.</param>
internal sealed class DocumentIds(Tensor? queries, Tensor keys) : IDisposable
{
    private readonly Dictionary<Tensor, Tensor> masks = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<int, Tensor?> spans = [];
    private Tensor? together;

    /// <summary>(B, T), int64; null where every query sees every key that is not padding.</summary>
    public Tensor? Queries => queries;

    /// <summary>(B, S), int64.</summary>
    public Tensor Keys => keys;

    /// <summary>True where query and key belong together: (B, 1, T, S), or (B, 1, 1, S) where all queries are alike.</summary>
    public Tensor Together => together ??= Constants.Own(() => Compare().unsqueeze(1));

    /// <summary>What a pattern leaves visible of <see cref="Together"/>; made once for each pattern's mask.</summary>
    /// <param name="pattern">Bool (T, S).</param>
    /// <returns>Bool (B, 1, T, S).</returns>
    public Tensor Within(Tensor pattern)
    {
        if (!masks.TryGetValue(pattern, out Tensor? mask)) masks[pattern] = mask = Constants.Own(() => Together.logical_and(pattern));
        return mask;
    }

    /// <summary>The keys [from, to) of each query's document, (B, T, 2), int32, where each document of a row is in one piece; else null. Without
    /// <see cref="Queries"/>: of all keys, where padding follows them.</summary>
    /// <remarks>On the CPU; elsewhere null.</remarks>
    /// <param name="count">Queries, T.</param>
    public Tensor? Spans(int count)
    {
        if (!spans.TryGetValue(count, out Tensor? found)) spans[count] = found = keys.device_type == DeviceType.CPU ? DocumentSpans.Of(queries, keys, count) : null;
        return found;
    }

    /// <summary>Frees the ids and the masks.</summary>
    public void Dispose()
    {
        queries?.Dispose();
        keys.Dispose();
        together?.Dispose();
        foreach (Tensor mask in masks.Values) mask.Dispose();
        foreach (Tensor? found in spans.Values) found?.Dispose();
    }

    private Tensor Compare() => queries is null
        ? keys.ge(0).unsqueeze(1) // (B, 1, S)
        : queries.unsqueeze(2).eq(keys.unsqueeze(1)); // (B, T, S)
}
