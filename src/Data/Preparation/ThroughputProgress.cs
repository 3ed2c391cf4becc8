using System.Diagnostics;

namespace Trainer.Data.Preparation;

/// <summary>Reports progress, rate and remaining time of long work every few seconds; short work stays silent.</summary>
internal sealed class ThroughputProgress(IProgress<string>? progress, string doing, long? totalBytes = null)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private readonly long start = Stopwatch.GetTimestamp();
    private long last = Stopwatch.GetTimestamp();

    public void Report(long doneBytes)
    {
        if (progress is null || Stopwatch.GetElapsedTime(last) < Interval)
            return;
        progress.Report(Describe(doing, doneBytes, totalBytes, Stopwatch.GetElapsedTime(start)));
        last = Stopwatch.GetTimestamp();
    }

    internal static string Describe(string doing, long doneBytes, long? totalBytes, TimeSpan elapsed)
    {
        var perSecond = doneBytes / elapsed.TotalSeconds;
        var rate = $"{doneBytes / 1e6:N0} MB, {perSecond / 1e6:0.0} MB/s";
        return totalBytes is not { } total || doneBytes == 0
            ? $"{doing}: {rate}"
            : $"{doing}: {100.0 * doneBytes / total:0} %, {rate}, {TimeSpan.FromSeconds((total - doneBytes) / perSecond):h\\:mm\\:ss} left";
    }
}
