using System.Globalization;
using Spectre.Console;

namespace Trainer.Reporting.Monitoring;

/// <summary>What the live display shows at one moment.</summary>
internal sealed record ProgressState(RunProgress Run, StepMetrics? Step, EvaluationMetrics? Evaluation, TimeSpan Elapsed, TimeSpan? Left, DateTimeOffset? End, bool Stopped)
{
    /// <summary>Steps done, whichever record is newer.</summary>
    public long Done => Math.Max(Run.Done, Math.Max(Step?.Step ?? 0, Evaluation?.Step ?? 0));
}

/// <summary>Draws the live display: a bar, a row of labels and a row of figures. Columns keep their places while numbers
/// change; those that do not fit are left out from the right.</summary>
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

    // In the order of how much they matter, since a narrow terminal shows only the first ones.
    private static IEnumerable<Field> Fields(ProgressState state)
    {
        var (step, evaluation) = (state.Step, state.Evaluation);
        yield return new("loss", step is null ? "-" : HumanFormat.Loss(step.Loss), 7, double.IsFinite(step?.Loss ?? 0) ? "bold" : "bold red");
        if (step is { SkippedSteps: > 0 })
            yield return new("skipped", HumanFormat.Number(step.SkippedSteps), 7, "bold red");
        yield return new("validation", evaluation is null ? "-" : HumanFormat.Loss(evaluation.ValidationLoss), 10);
        var best = evaluation is null ? "-" : $"{HumanFormat.Loss(evaluation.BestLoss)} at {HumanFormat.Number(evaluation.BestStep)}";
        yield return new("best", best, 10 + HumanFormat.Number(state.Run.TotalSteps).Length, "green");
        yield return new("speed", step is null ? "-" : HumanFormat.Compact(step.TokensPerSecond) + " tok/s", 11);
        yield return new("learning rate", step is null ? "-" : HumanFormat.Rate(step.LearningRate), 13);
        yield return new("gradient", step is null ? "-" : HumanFormat.Compact(step.GradientNorm), 8);
        yield return new("step", step is null ? "-" : HumanFormat.Duration(TimeSpan.FromSeconds(step.StepSeconds)), 7);
        if (step?.ModelFlopUtilisation is { } utilisation)
            yield return new("of peak", HumanFormat.Percent(utilisation), 7);
        if (step?.PeakMemoryBytes is { } memory)
            yield return new("GPU memory", HumanFormat.Bytes(memory), 10);
    }
}
