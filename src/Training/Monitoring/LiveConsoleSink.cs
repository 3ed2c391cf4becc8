using Spectre.Console;
using Spectre.Console.Rendering;

namespace Trainer.Training.Monitoring;

/// <summary>Reports a run on a terminal: a display of three lines that follows the training, below what stays.</summary>
/// <remarks>The display is drawn by a thread of its own four times a second, however fast or slow steps are, and begins
/// with the first record, so that messages before it are ordinary lines.</remarks>
internal sealed class LiveConsoleSink : IMetricsSink
{
    private const int SampleLines = 6;
    private static readonly TimeSpan Refresh = TimeSpan.FromMilliseconds(250);

    private readonly IAnsiConsole _console;
    private readonly RunProgress _run;
    private readonly RunClock _clock;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private StepMetrics? _step;
    private EvaluationMetrics? _evaluation;
    private Task? _display;
    private CursorGuard? _cursor;

    public LiveConsoleSink(IAnsiConsole console, RunProgress run, TimeProvider? time = null)
    {
        _console = console;
        _run = run;
        _clock = new RunClock(run, time ?? TimeProvider.System);
    }

    public void Step(StepMetrics metrics)
    {
        lock (_lock)
        {
            _step = metrics;
            _clock.Observe(metrics);
        }
        Show();
    }

    public void Evaluation(EvaluationMetrics metrics)
    {
        lock (_lock)
            _evaluation = metrics;
        var step = HumanFormat.Number(metrics.Step).PadLeft(HumanFormat.Number(_run.TotalSteps).Length);
        var style = metrics.IsBest ? "green" : "default";
        _console.MarkupLine($" [grey]step[/] {step}  [grey]validation loss[/] [{style}]{HumanFormat.Loss(metrics.ValidationLoss)}[/]" +
            $"  [grey]perplexity[/] {HumanFormat.Compact(metrics.Perplexity),5}  [{style}]{Markup.Escape(MetricLines.Best(metrics))}[/]");
        Show();
    }

    public void Sample(long step, string prompt, string text)
    {
        var width = _console.Profile.Width - 4;
        foreach (var line in TerminalText.Preview(prompt + text, SampleLines))
            _console.MarkupLine($" [grey]|[/] [italic]{Markup.Escape(Segment.Truncate(new Segment(line), width)?.Text ?? "")}[/]");
    }

    public void Message(string text) => _console.WriteLine(text);

    public void Dispose()
    {
        _stop.Cancel();
        _display?.GetAwaiter().GetResult();
        _cursor?.Dispose();
        _stop.Dispose();
    }

    private void Show()
    {
        if (_display is not null)
            return;
        _cursor = new CursorGuard(_console);
        _display = Task.Run(() => _console.Live(Picture(stopped: false)).AutoClear(false).StartAsync(Follow));
    }

    private async Task Follow(LiveDisplayContext context)
    {
        while (!_stop.IsCancellationRequested)
        {
            context.UpdateTarget(Picture(stopped: false));
            await Task.Delay(Refresh, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        context.UpdateTarget(Picture(stopped: true));
    }

    private IRenderable Picture(bool stopped)
    {
        lock (_lock)
            return ProgressView.Render(
                new ProgressState(_run, _step, _evaluation, _clock.Elapsed, _clock.Left, _clock.End, stopped),
                _console.Profile.Capabilities,
                _console.Profile.Width);
    }
}
