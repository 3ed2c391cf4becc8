using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Training;

/// <summary>A wish to stop: Ctrl-C or SIGTERM. The run finishes its step, saves a checkpoint and ends.</summary>
/// <remarks>
/// A second signal ends the process at once. One that follows within <see cref="Echo"/> is the first one heard twice:
/// <c>timeout</c> and service managers signal every process of a group, and <c>dotnet run</c> passes its own signal on to the program.
/// </remarks>
public sealed class StopSignal : IDisposable
{
    /// <summary>How long after the first signal another is taken for the same one.</summary>
    public static readonly TimeSpan Echo = TimeSpan.FromSeconds(1);

    private readonly List<PosixSignalRegistration> registrations = [];
    private readonly Action<string>? announce;
    private readonly Lock receiving = new();
    private long received;
    private volatile bool requested;

    /// <summary>Creates a signal that only <see cref="Request"/> sets.</summary>
    public StopSignal()
    {
    }

    private StopSignal(Action<string> announce)
    {
        this.announce = announce;
        registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, Receive));
        registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Receive));
    }

    /// <summary>Starts listening to Ctrl-C (SIGINT) and SIGTERM.</summary>
    /// <param name="announce">Told what will happen, when the first signal comes; called on a thread of its own.</param>
    /// <returns>The signal; dispose it to stop listening.</returns>
    public static StopSignal Listen(Action<string> announce) => new(announce);

    /// <summary>Whether the run should stop after the step it is in.</summary>
    public bool Requested => requested;

    /// <summary>Asks the run to stop.</summary>
    public void Request() => requested = true;

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
