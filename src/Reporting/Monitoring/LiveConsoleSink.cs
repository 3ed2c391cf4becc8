using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Trainer.Reporting.Monitoring;

/// <summary>Reports a run on a terminal: three live lines below the log, drawn four times a second, however fast steps are. They begin with
/// the first record, so that messages before it are ordinary lines. A terminal that goes away ends the display, not the run.</summary>
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
        var perplexity = metrics.Perplexity is { } value ? $"  [grey]perplexity[/] {HumanFormat.Compact(value),5}" : "";
        Draw($" [grey]step[/] {step}  [grey]validation loss[/] [{style}]{HumanFormat.Loss(metrics.ValidationLoss)}[/]" +
            $"{perplexity}  [{style}]{Markup.Escape(MetricLines.Best(metrics))}[/]");
    }

    public void Evaluated(EvaluatorMetrics metrics)
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

internal sealed record ProgressState(RunProgress Run, StepMetrics? Step, EvaluationMetrics? Evaluation, TimeSpan Elapsed, TimeSpan? Left,
    DateTimeOffset? End, bool Stopped)
{
    public long Done => Math.Max(Run.Done, Math.Max(Step?.Step ?? 0, Evaluation?.Step ?? 0));
}

/// <summary>Renders the live display: a bar, a row of labels and a row of figures in fixed columns, as many as fit.</summary>
internal static class ProgressView
{
    private const int LongestBar = 48;
    private const int ShortestBar = 8;
    private const string Gap = "  ";

    private sealed record Field(string Label, string Value, int Width, string Style = "");

    /// <summary>The display as markup, every line narrower than <paramref name="width"/>.</summary>
    public static IReadOnlyList<string> Lines(ProgressState state, int width, bool unicode)
    {
        var fields = Fitting(Fields(state), width - 2);
        return
        [
            " " + Progress(state, width - 2, unicode),
            " [grey]" + string.Join(Gap, fields.Select(field => Markup.Escape(field.Label.PadLeft(field.Width)))) + "[/]",
            " " + string.Join(Gap, fields.Select(Value)),
        ];
    }

    private static string Progress(ProgressState state, int width, bool unicode)
    {
        var share = Math.Clamp((double)state.Done / Math.Max(1, state.Run.TotalSteps), 0, 1);
        var total = HumanFormat.Number(state.Run.TotalSteps);
        var text = $"{HumanFormat.Number(state.Done).PadLeft(total.Length)}/{total}  {Hundredths(state),3} %  {Time(state)}";
        var bar = Math.Min(LongestBar, width - text.Length - Gap.Length);
        return bar < ShortestBar ? text : Bar(share, bar, unicode) + Gap + text;
    }

    // Rounded down: 100 % means done.
    private static long Hundredths(ProgressState state) => Math.Min(100, state.Done * 100 / Math.Max(1, state.Run.TotalSteps));

    private static string Bar(double share, int width, bool unicode)
    {
        var full = (int)(share * width);
        var (done, open) = unicode ? ('━', '─') : ('=', '.');
        return $"[green]{new string(done, full)}[/][grey]{new string(open, width - full)}[/]";
    }

    private static string Time(ProgressState state) => state switch
    {
        { Stopped: true } => $"{(state.Done >= state.Run.TotalSteps ? "done in" : "stopped after")} {HumanFormat.Clock(state.Elapsed)}",
        { Left: { } left, End: { } end } => $"{HumanFormat.Estimate(left)} left, done {When(end, left)}",
        _ => "",
    };

    private static string When(DateTimeOffset end, TimeSpan left) =>
        end.ToString(left < TimeSpan.FromHours(20) ? "HH:mm" : "d MMM HH:mm", CultureInfo.InvariantCulture);

    private static List<Field> Fitting(IEnumerable<Field> fields, int width)
    {
        var (fitting, used) = (new List<Field>(), -Gap.Length);
        foreach (var field in fields)
        {
            used += Gap.Length + field.Width;
            if (used > width)
                break;
            fitting.Add(field);
        }
        return fitting;
    }

    private static string Value(Field field)
    {
        var text = Markup.Escape(field.Value.PadLeft(field.Width));
        return field.Style.Length == 0 ? text : $"[{field.Style}]{text}[/]";
    }

    // By importance: a narrow terminal shows only the first ones.
    private static IEnumerable<Field> Fields(ProgressState state)
    {
        var (step, evaluation) = (state.Step, state.Evaluation);
        yield return new("loss", step is null ? "-" : HumanFormat.Loss(step.Loss), 7,
            double.IsFinite(step?.Loss ?? 0) ? "bold" : "bold red");
        if (step is { SkippedSteps: > 0 })
            yield return new("skipped", HumanFormat.Number(step.SkippedSteps), 7, "bold red");
        if (step is { SpikeSteps: > 0 and var spikes })
            yield return new("spikes", HumanFormat.Number(spikes), 6, "bold red");
        yield return new("validation", evaluation is null ? "-" : HumanFormat.Loss(evaluation.ValidationLoss), 10);
        var best = evaluation is null ? "-" : $"{HumanFormat.Loss(evaluation.BestLoss)} at {HumanFormat.Number(evaluation.BestStep)}";
        yield return new("best", best, 10 + HumanFormat.Number(state.Run.TotalSteps).Length, "green");
        var unit = state.Run.Unit.Speed;
        yield return new("speed", step is null ? "-" : $"{HumanFormat.Compact(step.TokensPerSecond)} {unit}", 6 + unit.Length);
        yield return new("learning rate", step is null ? "-" : HumanFormat.Rate(step.LearningRate), 13);
        yield return new("gradient", step is null ? "-" : HumanFormat.Compact(step.GradientNorm), 8);
        yield return new("step", step is null ? "-" : HumanFormat.Duration(TimeSpan.FromSeconds(step.StepSeconds)), 7);
        if (step?.ModelFlopUtilisation is { } utilisation)
            yield return new("of peak", HumanFormat.Percent(utilisation), 7);
        if (step?.PeakMemoryBytes is { } memory)
            yield return new("GPU memory", HumanFormat.Bytes(memory), 10);
    }
}

/// <summary>A few lines at the end of a terminal that are redrawn in place below everything else. Not thread-safe.</summary>
/// <remarks>Spectre.Console's own live display hides the cursor, which a killed process leaves hidden, never narrows with the terminal, and
/// leaves the ends of longer lines behind. Here the cursor stays visible on the line below, where the shell's prompt finds a line of its
/// own however the process ends, and a frame is one write, so that nothing flickers.</remarks>
internal sealed class LiveRegion(IAnsiConsole console)
{
    private IReadOnlyList<int> _drawn = [];

    /// <summary>Replaces the lines, each narrower than the terminal; <paramref name="above"/> stays above them. All is markup.</summary>
    public void Draw(IReadOnlyList<string> lines, string? above = null)
    {
        var erase = Erase();
        var text = string.Concat(lines.Prepend(above).OfType<string>().Select(line => line + "\n"));
        console.Write(new Frame(erase, new Markup(text)));
        _drawn = [.. lines.Select(line => Markup.Remove(line).Length)];
    }

    // A terminal that was made narrower has wrapped the lines.
    private string Erase()
    {
        var width = Math.Max(1, console.Profile.Width);
        var rows = _drawn.Sum(length => Math.Max(1, (length + width - 1) / width));
        return rows == 0 ? "" : $"\r\e[{rows}A\e[0J";
    }

    private sealed class Frame(string erase, IRenderable content) : Renderable
    {
        protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
            content.Render(options, maxWidth).Prepend(Segment.Control(erase));
    }
}
