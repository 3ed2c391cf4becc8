using Spectre.Console;
using Spectre.Console.Rendering;

namespace Trainer.Reporting.Monitoring;

/// <summary>Reports a run on a terminal: a display of three lines that follows the training, below what stays.</summary>
/// <remarks>The display is drawn by a timer four times a second, however fast or slow steps are, and begins with the
/// first record, so that messages before it are ordinary lines. A terminal that goes away ends the display, not the run.</remarks>
internal sealed class LiveConsoleSink : IMetricsSink
{
    private const int SampleLines = 6;
    private static readonly TimeSpan Refresh = TimeSpan.FromMilliseconds(250);

    private readonly IAnsiConsole _console;
    private readonly LiveRegion _region;
    private readonly RunProgress _run;
    private readonly RunClock _clock;
    private readonly Lock _lock = new();
    private readonly ITimer _timer;
    private StepMetrics? _step;
    private EvaluationMetrics? _evaluation;
    private bool _ended;

    public LiveConsoleSink(IAnsiConsole console, RunProgress run, TimeProvider? time = null)
    {
        _console = console;
        _region = new LiveRegion(console);
        _run = run;
        time ??= TimeProvider.System;
        _clock = new RunClock(run, time);
        _timer = time.CreateTimer(_ => Draw(), null, Refresh, Refresh);
    }

    public void Step(StepMetrics metrics)
    {
        lock (_lock)
        {
            _step = metrics;
            _clock.Observe(metrics);
        }
    }

    public void Evaluation(EvaluationMetrics metrics)
    {
        lock (_lock)
            _evaluation = metrics;
        var step = HumanFormat.Number(metrics.Step).PadLeft(HumanFormat.Number(_run.TotalSteps).Length);
        var style = metrics.IsBest ? "green" : "default";
        Draw($" [grey]step[/] {step}  [grey]validation loss[/] [{style}]{HumanFormat.Loss(metrics.ValidationLoss)}[/]" +
            $"  [grey]perplexity[/] {HumanFormat.Compact(metrics.Perplexity),5}  [{style}]{Markup.Escape(MetricLines.Best(metrics))}[/]");
    }

    public void Measured(MeasureMetrics metrics)
    {
        var step = HumanFormat.Number(metrics.Step).PadLeft(HumanFormat.Number(_run.TotalSteps).Length);
        foreach (var line in metrics.Lines)
            Draw($" [grey]step[/] {step}  [grey]{Markup.Escape(metrics.Name)}[/] {Markup.Escape(line)}");
        foreach (var (prompt, text) in metrics.Texts)
            Sample(metrics.Step, prompt, text);
    }

    public void Sample(long step, string prompt, string text)
    {
        var width = _console.Profile.Width - 4;
        Draw(string.Join('\n', TerminalText.Preview(prompt + text, SampleLines)
            .Select(line => $" [grey]|[/] [italic]{Markup.Escape(Segment.Truncate(new Segment(line), width)?.Text ?? "")}[/]")));
    }

    public void Message(string text) => Draw(Markup.Escape(text.TrimEnd('\n')));

    public void Dispose()
    {
        _timer.Dispose();
        Draw(stopped: true);
    }

    private void Draw(string? above = null, bool stopped = false)
    {
        lock (_lock)
        {
            if (_ended)
                return;
            try
            {
                _region.Draw(_step is null && _evaluation is null ? [] : Lines(stopped), above);
            }
            catch (IOException)
            {
                _ended = true;
            }
            _ended |= stopped;
        }
    }

    private IReadOnlyList<string> Lines(bool stopped) => ProgressView.Lines(
        new ProgressState(_run, _step, _evaluation, _clock.Elapsed, _clock.Left, _clock.End, stopped),
        _console.Profile.Width,
        _console.Profile.Capabilities.Unicode);
}
