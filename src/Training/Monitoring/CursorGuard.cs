using System.Runtime.InteropServices;
using Spectre.Console;

namespace Trainer.Training.Monitoring;

/// <summary>Brings the cursor back, which a live display hides, however the process ends short of <c>kill -9</c>.</summary>
/// <remarks>Signals are only watched: whoever else handles Ctrl-C still does, and where nobody does the process ends as
/// it would have.</remarks>
internal sealed class CursorGuard : IDisposable
{
    private readonly IAnsiConsole _console;
    private readonly PosixSignalRegistration[] _signals;

    public CursorGuard(IAnsiConsole console)
    {
        _console = console;
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT }
            .Select(signal => PosixSignalRegistration.Create(signal, _ => _console.Cursor.Show()))];
        AppDomain.CurrentDomain.UnhandledException += Show;
        AppDomain.CurrentDomain.ProcessExit += Show;
    }

    public void Dispose()
    {
        AppDomain.CurrentDomain.UnhandledException -= Show;
        AppDomain.CurrentDomain.ProcessExit -= Show;
        foreach (var signal in _signals)
            signal.Dispose();
        _console.Cursor.Show();
    }

    private void Show(object? sender, EventArgs arguments) => _console.Cursor.Show();
}
