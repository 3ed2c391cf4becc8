using System.Diagnostics;

namespace Trainer.Text;

/// <summary>Reports how far long work is, every few seconds; short work stays silent.</summary>
internal sealed class Pulse(IProgress<string>? progress, Func<string> describe)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private long last = Stopwatch.GetTimestamp();

    public void Beat()
    {
        if (progress is null || Stopwatch.GetElapsedTime(last) < Interval)
            return;
        progress.Report(describe());
        last = Stopwatch.GetTimestamp();
    }
}
