using TorchSharp;

namespace Trainer.Torch;

/// <summary>Where a device's default generator stood, so that what was drawn from then on can be drawn again.</summary>
internal sealed class RandomMoment : IDisposable
{
    private readonly torch.Device device;
    private readonly torch.Tensor state;

    private RandomMoment(torch.Device device)
    {
        this.device = device;
        using var generator = DefaultGenerators.Of(device);
        state = generator.get_state().DetachFromDisposeScope();
    }

    /// <summary>The present moment.</summary>
    public static RandomMoment Capture(torch.Device device) => new(device);

    /// <summary>Goes back to this moment; what is returned goes forth again when disposed.</summary>
    public IDisposable Return()
    {
        var present = Capture(device);
        Restore();
        return new Journey(present);
    }

    /// <summary>Frees the copy of the state.</summary>
    public void Dispose() => state.Dispose();

    private void Restore()
    {
        using var generator = DefaultGenerators.Of(device);
        generator.set_state(state);
    }

    private sealed class Journey(RandomMoment present) : IDisposable
    {
        public void Dispose()
        {
            present.Restore();
            present.Dispose();
        }
    }
}
