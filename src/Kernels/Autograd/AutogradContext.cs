using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>What a function's forward pass saves for its backward pass (<c>torch.autograd.function.FunctionCtx</c>).</summary>
internal sealed class AutogradContext
{
    private readonly List<Tensor?> saved = [];
    private readonly List<long> versions = [];
    private readonly Dictionary<string, object?> data = [];

    internal AutogradContext(bool[] needs) => Needs = needs;

    private bool[] Needs { get; }

    /// <summary>Whether there will be a backward pass; if not, nothing is saved.</summary>
    public bool Records => Array.IndexOf(Needs, true) >= 0;

    public bool needs_input_grad(int argument) => Needs[argument];

    /// <summary>Keeps tensors, or nulls, until the backward pass has run.</summary>
    public void save_for_backward(List<Tensor> tensors)
    {
        if (!Records) return;
        // Detached aliases: an output that was saved itself would keep its own node alive.
        foreach (Tensor? tensor in tensors)
        {
            Tensor? kept = tensor?.detach().DetachFromDisposeScope();
            saved.Add(kept);
            versions.Add(VersionOf(kept));
        }
    }

    /// <summary>The saved tensors, which belong to this context.</summary>
    /// <exception cref="TorchException">One has been written since.</exception>
    public List<Tensor> get_saved_variables()
    {
        for (int i = 0; i < saved.Count; i++)
        {
            if (VersionOf(saved[i]) is var version && version != versions[i])
                throw new TorchException(
                    $"a tensor of shape [{string.Join(", ", saved[i]!.shape)}] that the backward pass needs has been written in place: " +
                    $"it is at version {version}, and was kept at version {versions[i]}");
        }
        return saved!;
    }

    /// <summary>Keeps anything else; what is disposable is disposed of with the node.</summary>
    public void save_data(string key, object? value) => data[key] = value;

    public object? get_data(string key) => data.GetValueOrDefault(key);

    internal void MoveSaved(List<Tensor> to)
    {
        to.AddRange(saved.OfType<Tensor>());
        saved.Clear();
    }

    internal void Release()
    {
        foreach (Tensor? tensor in saved) tensor?.Dispose();
        foreach (object? value in data.Values) (value as IDisposable)?.Dispose();
        saved.Clear();
        versions.Clear();
        data.Clear();
    }

    private static long VersionOf(Tensor? tensor) => tensor?.Version ?? 0;
}
