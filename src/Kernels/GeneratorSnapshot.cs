using TorchSharp;

namespace Trainer.Kernels;

/// <summary>The state of a device's default generator, so that what was drawn since can be drawn again.</summary>
public sealed class GeneratorSnapshot : IDisposable
{
    private readonly torch.Device device;
    private readonly torch.Tensor state;

    private GeneratorSnapshot(torch.Device device)
    {
        this.device = device;
        using var generator = DefaultGenerators.Of(device);
        state = generator.get_state().DetachFromDisposeScope();
    }

    /// <summary>Takes the present state.</summary>
    public static GeneratorSnapshot Capture(torch.Device device) => new(device);

    /// <summary>Goes back to this state until the result is disposed.</summary>
    public IDisposable Return()
    {
        var present = Capture(device);
        Restore();
        return new Excursion(present);
    }

    /// <inheritdoc/>
    public void Dispose() => state.Dispose();

    private void Restore()
    {
        using var generator = DefaultGenerators.Of(device);
        generator.set_state(state);
    }

    private sealed class Excursion(GeneratorSnapshot present) : IDisposable
    {
        public void Dispose()
        {
            present.Restore();
            present.Dispose();
        }
    }
}
