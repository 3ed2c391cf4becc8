using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Distributed;

/// <summary>Waits between two looks at something that other processes do: not at all at first, then longer the longer it takes.</summary>
/// <remarks>Thread.Sleep knows milliseconds only. Yielding gives a whole time slice away where the cores are busy: sums of one number then
/// took 5 ms, where sleeping took 0.2.</remarks>
internal ref partial struct ShortSleep()
{
    private const int TimerSlack = 29; // PR_SET_TIMERSLACK

    private static readonly TimeSpan Spin = TimeSpan.FromMicroseconds(20);
    private static readonly TimeSpan Shortest = TimeSpan.FromMicroseconds(5), Longest = TimeSpan.FromMicroseconds(500);

    private readonly long begin = Stopwatch.GetTimestamp();

    /// <summary>Lets this thread's sleeps end to the microsecond, where the system's default adds 50.</summary>
    public static void Prepare()
    {
        if (OperatingSystem.IsLinux()) _ = prctl(TimerSlack, 1000, 0, 0, 0);
    }

    /// <summary>Waits a little; false while it has not slept yet.</summary>
    public readonly bool Longer()
    {
        var elapsed = Stopwatch.GetElapsedTime(begin);
        if (elapsed < Spin) return false;
        var pause = elapsed / 8;
        Sleep(pause < Shortest ? Shortest : pause > Longest ? Longest : pause);
        return true;
    }

    private static void Sleep(TimeSpan time)
    {
        if (OperatingSystem.IsWindows())
        {
            Thread.Sleep(time);
            return;
        }
        var duration = new TimeSpec(0, (nint)time.Ticks * 100);
        _ = nanosleep(duration, IntPtr.Zero);
    }

    [LibraryImport("libc")]
    private static partial int nanosleep(in TimeSpec duration, IntPtr left);

    [LibraryImport("libc")]
    private static partial int prctl(int option, nuint first, nuint second, nuint third, nuint fourth);

    private readonly record struct TimeSpec(nint Seconds, nint Nanoseconds);
}
