using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>The weights in training, while others stand in their place; disposing puts them back, bit for bit.</summary>
internal sealed class SetAside : IDisposable
{
    private readonly IReadOnlyList<Parameter> parameters;
    private readonly Tensor[] copies;
    private readonly Action restored;

    public SetAside(IReadOnlyList<Parameter> parameters, Action restored)
    {
        (this.parameters, this.restored) = (parameters, restored);
        copies = [.. parameters.Select(parameter => parameter.detach().clone().DetachFromDisposeScope())];
    }

    public Tensor this[int index] => copies[index];

    public void Dispose()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable unrecorded = no_grad();
        for (int i = 0; i < copies.Length; i++)
        {
            parameters[i].copy_(copies[i]);
            copies[i].Dispose();
        }
        restored();
    }
}
