using static TorchSharp.torch;

namespace Trainer.Models.Adapters;

/// <summary>Which of a model's adapters each row of a batch takes. Rows of one adapter are multiplied together, wherever they lie in the
/// batch (Punica, arXiv 2310.18547; S-LoRA, arXiv 2311.03285).</summary>
public sealed class AdapterRows : IDisposable
{
    private AdapterRows(int batch, IReadOnlyList<AdapterGroup> groups) => (Batch, Groups) = (batch, groups);

    /// <summary>Number of rows.</summary>
    public int Batch { get; }

    internal IReadOnlyList<AdapterGroup> Groups { get; }

    /// <summary>Names an adapter for each row, null for the model's own weights; null where no row takes one.</summary>
    /// <exception cref="Configuration.UserException">The model has no adapter of that name.</exception>
    public static AdapterRows? Of(SequenceModel model, IReadOnlyList<string?> names) => Of([.. names.Select(model.Slot)], model.Device);

    internal static AdapterRows? Of(IReadOnlyList<int> slots, Device device)
    {
        AdapterGroup[] groups = [.. slots.Index().Where(row => row.Item >= 0).GroupBy(row => row.Item, row => (long)row.Index)
            .Select(group => group.Count() == slots.Count
                ? new AdapterGroup(group.Key, null)
                : new AdapterGroup(group.Key, Constants.Own(() => tensor([.. group]).to(device))))];
        return groups.Length == 0 ? null : new(slots.Count, groups);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (AdapterGroup group in Groups) group.Rows?.Dispose();
    }
}

/// <summary>Rows (n), int64, that take the adapter with a number; null for all.</summary>
internal readonly record struct AdapterGroup(int Slot, Tensor? Rows);
