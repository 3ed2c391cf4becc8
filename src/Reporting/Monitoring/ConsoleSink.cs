using Spectre.Console;

namespace Trainer.Reporting.Monitoring;

/// <summary>Reports a run on standard error.</summary>
public static class ConsoleSink
{
    /// <summary>A live display on a terminal; plain lines when piped, or where CI, NO_COLOR or TERM=dumb asks for them.</summary>
    public static IMetricsSink Create(RunProgress run) => IsLive(Console.IsErrorRedirected, Environment.GetEnvironmentVariable)
        ? new LiveConsoleSink(AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.Yes,
            Out = new AnsiConsoleOutput(Console.Error) }), run)
        : new PlainConsoleSink(Console.Error, run);

    internal static bool IsLive(bool redirected, Func<string, string?> environment) =>
        !redirected
        && string.IsNullOrEmpty(environment("NO_COLOR"))
        && environment("CI") is null or "" or "false" or "0"
        && environment("TERM") is not (null or "" or "dumb");
}

/// <summary>Reports a run as plain lines, for pipes, logs and terminals without colour.</summary>
internal sealed class PlainConsoleSink(TextWriter writer, RunProgress run, TimeProvider? time = null) : IMetricsSink
{
    private const int SampleLines = 12;

    private readonly MetricLines _lines = new(run);
    private readonly RunClock _clock = new(run, time ?? TimeProvider.System);

    public void Step(StepMetrics metrics)
    {
        _clock.Observe(metrics);
        writer.WriteLine(_lines.Step(metrics, _clock.Left));
    }

    public void Evaluation(EvaluationMetrics metrics) => writer.WriteLine(_lines.Evaluation(metrics));

    public void Evaluated(EvaluatorMetrics metrics)
    {
        foreach (var line in _lines.Evaluated(metrics))
            writer.WriteLine(line);
        foreach (var (prompt, text) in metrics.Texts)
            Sample(metrics.Step, prompt, text);
    }

    public void Sample(long step, string prompt, string text)
    {
        foreach (var line in TerminalText.Preview(prompt + text, SampleLines))
            writer.WriteLine("    | " + line);
    }

    public void Message(string text) => writer.WriteLine(text);

    public void Flush() => writer.Flush();

    public void Dispose() => writer.Flush();
}

internal static class TerminalText
{
    /// <summary>The first lines of a text, with an ellipsis for the rest. Control characters are replaced: a model that knows bytes but not
    /// yet words writes escape sequences, which would take over the terminal.</summary>
    public static IReadOnlyList<string> Preview(string text, int lines)
    {
        var all = text.ReplaceLineEndings("\n").TrimEnd('\n').Split('\n');
        var shown = all.Take(lines).Select(Printable).ToList();
        if (all.Length > lines)
            shown[^1] += " …";
        return shown;
    }

    private static string Printable(string line) => string.Create(line.Length, line, (target, source) =>
    {
        for (var i = 0; i < target.Length; i++)
            target[i] = source[i] == '\t' ? ' ' : char.IsControl(source[i]) ? '·' : source[i];
    });
}
