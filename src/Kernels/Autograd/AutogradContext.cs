using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>What a function's forward pass hands to its backward pass (<c>torch.autograd.function.FunctionCtx</c>).</summary>
public sealed class AutogradContext
{
    private readonly List<Tensor?> saved = [];
    private readonly List<long> versions = [];
    private readonly Dictionary<string, object?> data = [];

    internal AutogradContext(bool[] needs) => Needs = needs;

    private bool[] Needs { get; }

    /// <summary>Whether there will be a backward pass at all; if not, nothing needs to be saved.</summary>
    public bool Records => Array.IndexOf(Needs, true) >= 0;

    /// <summary>Whether an argument of <c>apply</c> is a tensor whose gradient is wanted.</summary>
    /// <param name="argument">Its index.</param>
    public bool needs_input_grad(int argument) => Needs[argument];

    /// <summary>Keeps tensors, inputs, outputs or others, until the backward pass has run. Without a backward pass it keeps
    /// nothing.</summary>
    public void save_for_backward(List<Tensor> tensors)
    {
        if (!Records) return;
        // Aliases without a record: an output that was kept itself would keep its own node alive.
        foreach (Tensor? tensor in tensors)
        {
            Tensor? kept = tensor?.detach().DetachFromDisposeScope();
            saved.Add(kept);
            versions.Add(VersionOf(kept));
        }
    }

    /// <summary>The kept tensors, null where null was kept. They belong to this context.</summary>
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

    /// <summary>Keeps something that is no tensor; what is disposable is disposed of with the node.</summary>
    public void save_data(string key, object? value) => data[key] = value;

    /// <summary>What was kept under a key.</summary>
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
