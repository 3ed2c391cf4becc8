using System.Diagnostics;

namespace Trainer.Data;

/// <summary>Reports every few seconds how far long work is, how fast, and how long it will still take; short work stays silent.</summary>
/// <param name="progress">Who is told, if anybody.</param>
/// <param name="doing">What is done, such as "encoding".</param>
/// <param name="totalBytes">How much there is to do, where that is known.</param>
internal sealed class Pulse(IProgress<string>? progress, string doing, long? totalBytes = null)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private readonly long start = Stopwatch.GetTimestamp();
    private long last = Stopwatch.GetTimestamp();

    /// <summary>Says how much is done by now.</summary>
    public void Beat(long doneBytes)
    {
        if (progress is null || Stopwatch.GetElapsedTime(last) < Interval)
            return;
        progress.Report(Describe(doing, doneBytes, totalBytes, Stopwatch.GetElapsedTime(start)));
        last = Stopwatch.GetTimestamp();
    }

    /// <summary>One line of progress.</summary>
    internal static string Describe(string doing, long doneBytes, long? totalBytes, TimeSpan elapsed)
    {
        var perSecond = doneBytes / elapsed.TotalSeconds;
        var rate = $"{doneBytes / 1e6:N0} MB, {perSecond / 1e6:0.0} MB/s";
        return totalBytes is not { } total || doneBytes == 0
            ? $"{doing}: {rate}"
            : $"{doing}: {100.0 * doneBytes / total:0} %, {rate}, {TimeSpan.FromSeconds((total - doneBytes) / perSecond):h\\:mm\\:ss} left";
    }
}
