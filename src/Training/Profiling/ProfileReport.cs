using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Trainer.Data;

namespace Trainer.Training.Profiling;

/// <summary>Begins and ends the steps that are profiled, and writes what came of it after the last one, or when training ends before.</summary>
internal sealed class ProfileWriter(StepProfiler profiler, string folder, Action<string> log)
{
    private bool written;

    /// <summary>The profiler for a step that is about to be taken; null where it is not profiled.</summary>
    public StepProfiler? Begin(long step)
    {
        if (step < profiler.Range.First || step > profiler.Range.Last) return null;
        profiler.BeginStep();
        return profiler;
    }

    public void End(long step)
    {
        profiler.EndStep(step);
        if (step == profiler.Range.Last) Finish();
    }

    /// <summary>Writes what there is, once.</summary>
    public void Finish()
    {
        if (written || profiler.Steps.Count == 0) return;
        written = true;
        log(ProfileReport.Write(profiler, folder));
    }
}

/// <summary>Seconds of an average step that went into one part.</summary>
internal sealed record ProfiledPart(string Name, double Seconds, double Share);

/// <summary>Where the time of an average step went. Of threads with rows of their own it is their mean, and what they waited for each
/// other. The parts and what is not accounted for are all of the step.</summary>
internal sealed record ProfileReport(
    long FirstStep, long LastStep, int Threads, double SecondsPerStep, IReadOnlyList<ProfiledPart> Parts, double UnaccountedSeconds)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static ProfileReport Of(StepProfiler profiler)
    {
        double steps = profiler.Steps.Count, wall = profiler.Steps.Sum(step => Seconds(step.Start, step.End));
        Dictionary<string, double> seconds = [];
        foreach (ProfileSpan span in profiler.Main.Spans) Add(span.Part, Seconds(span.Start, span.End));
        if (seconds.Remove(ProfilePart.Threads, out double together))
        {
            double busy = 0;
            foreach (ProfileSpan span in profiler.Workers.SelectMany(worker => worker.Spans))
            {
                double share = Seconds(span.Start, span.End) / profiler.Workers.Count;
                busy += share;
                Add(span.Part, share);
            }
            Add("waiting for other threads", together - busy);
        }
        return new(
            profiler.Steps[0].Step, profiler.Steps[^1].Step, Math.Max(1, profiler.Workers.Count), wall / steps,
            [.. seconds.Select(part => new ProfiledPart(part.Key, part.Value / steps, part.Value / wall)).OrderByDescending(
                part => part.Seconds)],
            (wall - seconds.Values.Sum()) / steps);

        void Add(string part, double time) => seconds[part] = seconds.GetValueOrDefault(part) + time;
    }

    /// <summary>Writes <c>step-20-30.json</c>, and <c>trace.json</c> in the trace event format of Chrome, which Perfetto opens.</summary>
    public static string Write(StepProfiler profiler, string folder)
    {
        ProfileReport report = Of(profiler);
        Directory.CreateDirectory(folder);
        DurableFile.Replace(
            Path.Combine(folder, $"step-{report.FirstStep}-{report.LastStep}.json"), JsonSerializer.Serialize(report, Format) + "\n");
        DurableFile.Replace(Path.Combine(folder, "trace.json"), Trace(profiler) + "\n");
        return string.Join('\n', report.Lines);
    }

    /// <summary>The breakdown as a table.</summary>
    public IEnumerable<string> Lines =>
    [
        $"profile of steps {FirstStep} to {LastStep}: {Milliseconds(SecondsPerStep)} ms a step" +
            (Threads > 1 ? $", the mean of {Threads} threads" : ""),
        .. Parts.Select(part => $"  {part.Name,-42}{Milliseconds(part.Seconds),10} ms {Percent(part.Share),7}"),
        $"  {"not accounted for",-42}{Milliseconds(UnaccountedSeconds),10} ms {Percent(UnaccountedSeconds / SecondsPerStep),7}",
    ];

    private static string Trace(StepProfiler profiler)
    {
        long origin = profiler.Steps[0].Start;
        ProfileLane[] lanes = [profiler.Main, .. profiler.Workers];
        IEnumerable<object> events =
        [
            .. lanes.Select((lane, thread) => new { name = "thread_name", ph = "M", pid = 1, tid = thread, args = new { lane.Name } }),
            .. profiler.Steps.Select(step => Event($"step {step.Step}", "step", step.Start, step.End, 0)),
            .. lanes.SelectMany((lane, thread) => lane.Spans.Select(span => Event(span.Label, span.Part, span.Start, span.End, thread))),
        ];
        return JsonSerializer.Serialize(new { traceEvents = events, displayTimeUnit = "ms" }, JsonSerializerOptions.Web);

        object Event(string name, string category, long start, long end, int thread) => new
        {
            name,
            cat = category,
            ph = "X",
            ts = Seconds(origin, start) * 1e6,
            dur = Seconds(start, end) * 1e6,
            pid = 1,
            tid = thread,
        };
    }

    private static double Seconds(long start, long end) => (end - start) / (double)Stopwatch.Frequency;

    private static string Milliseconds(double seconds) => (seconds * 1000).ToString("F3", CultureInfo.InvariantCulture);

    private static string Percent(double share) => (share * 100).ToString("F1", CultureInfo.InvariantCulture) + " %";
}
