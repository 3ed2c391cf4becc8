using Spectre.Console;

namespace Trainer.Reporting.Monitoring;

/// <summary>Reports a run to the person who started it, on standard error.</summary>
public static class ConsoleSink
{
    /// <summary>A live display where standard error is a terminal; plain lines when it is piped, and where the
    /// environment asks for them with CI, NO_COLOR or TERM=dumb.</summary>
    /// <param name="run">Where the run stands.</param>
    public static IMetricsSink Create(RunProgress run) => IsLive(Console.IsErrorRedirected, Environment.GetEnvironmentVariable)
        ? new LiveConsoleSink(AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.Yes, Out = new AnsiConsoleOutput(Console.Error) }), run)
        : new PlainConsoleSink(Console.Error, run);

    /// <summary>Whether a display that redraws itself is wanted and possible.</summary>
    internal static bool IsLive(bool redirected, Func<string, string?> environment) =>
        !redirected
        && string.IsNullOrEmpty(environment("NO_COLOR"))
        && environment("CI") is null or "" or "false" or "0"
        && environment("TERM") is not (null or "" or "dumb");
}
