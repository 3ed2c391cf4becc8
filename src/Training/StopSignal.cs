using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Training;

/// <summary>A request to stop: Ctrl-C, SIGTERM or SIGHUP. The run finishes its step, saves a checkpoint and ends; a second signal ends the
/// process at once. One within <see cref="Echo"/> is taken for an echo: <c>timeout</c> and service managers signal every process of a group, and
/// <c>dotnet run</c> passes its own signal on.</summary>
public sealed class StopSignal : IDisposable
{
    internal static readonly TimeSpan Echo = TimeSpan.FromSeconds(1);

    private readonly List<PosixSignalRegistration> registrations = [];
    private readonly Action<string>? announce;
    private readonly Lock receiving = new();
    private readonly CancellationTokenSource source = new();
    private long received;
    private volatile bool requested;

    /// <summary>A signal that is set only by <see cref="Request"/>.</summary>
    internal StopSignal()
    {
    }

    private StopSignal(Action<string> announce)
    {
        this.announce = announce;
        // One that is ignored, as under nohup, stays ignored.
        foreach (PosixSignal signal in (PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
            registrations.Add(PosixSignalRegistration.Create(signal, Receive));
    }

    /// <summary>Listens to these signals until disposed; calls <paramref name="announce"/> once, on another thread.</summary>
    public static StopSignal Listen(Action<string> announce) => new(announce);

    internal bool Requested => requested;

    /// <summary>Is cancelled with the request.</summary>
    internal CancellationToken Token => source.Token;

    internal void Request()
    {
        lock (receiving)
        {
            if (!requested) received = Stopwatch.GetTimestamp();
            requested = true;
        }
        source.Cancel();
    }

    /// <summary>Takes the end of a stream for a request: of a pipe it is the end of the process that holds it open, however it
    /// ended.</summary>
    public void FollowInput(Stream input) => new Thread(() =>
    {
        while (input.ReadByte() >= 0)
        {
        }
        Request();
    }) { IsBackground = true, Name = "input" }.Start();

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
        source.Cancel();
        announce?.Invoke($"{context.Signal} received: finishing this step and saving a checkpoint; once more ends at once without saving");
    }
}
