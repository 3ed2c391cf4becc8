using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Training;

/// <summary>A request to stop: Ctrl-C or SIGTERM. The run finishes its step, saves a checkpoint and ends.</summary>
/// <remarks>A second signal ends the process at once. One that follows within <see cref="Echo"/> is taken for an echo of the first:
/// <c>timeout</c> and service managers signal every process of a group, and <c>dotnet run</c> passes its own signal on.</remarks>
public sealed class StopSignal : IDisposable
{
    /// <summary>How long after the first signal another is ignored.</summary>
    internal static readonly TimeSpan Echo = TimeSpan.FromSeconds(1);

    private readonly List<PosixSignalRegistration> registrations = [];
    private readonly Action<string>? announce;
    private readonly Lock receiving = new();
    private long received;
    private volatile bool requested;

    /// <summary>Creates a signal that is set only by <see cref="Request"/>.</summary>
    internal StopSignal()
    {
    }

    private StopSignal(Action<string> announce)
    {
        this.announce = announce;
        registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, Receive));
        registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Receive));
    }

    /// <summary>Listens to Ctrl-C (SIGINT) and SIGTERM until disposed. <paramref name="announce"/> is called on a thread of its own at the
    /// first signal.</summary>
    public static StopSignal Listen(Action<string> announce) => new(announce);

    /// <summary>Whether the run should stop after the step it is in.</summary>
    internal bool Requested => requested;

    /// <summary>Asks the run to stop.</summary>
    internal void Request() => requested = true;

    /// <inheritdoc/>
    public void Dispose() => registrations.ForEach(registration => registration.Dispose());

    private void Receive(PosixSignalContext context)
    {
        lock (receiving)
        {
            if (requested)
            {
                context.Cancel = Stopwatch.GetElapsedTime(received) < Echo; // if not, the default action, which is to end the process
                return;
            }
            context.Cancel = true;
            received = Stopwatch.GetTimestamp();
            requested = true;
        }
        announce?.Invoke($"{context.Signal} received: finishing this step and saving a checkpoint; once more ends at once without saving");
    }
}
