using System.Diagnostics;
using TorchSharp;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Profiling;

/// <summary>Times what the steps of a range spend their time on. Where nothing is profiled there is none of it, and nothing is spent.</summary>
/// <remarks>On a GPU every measurement waits for what was queued, so that steps take longer than without.</remarks>
internal sealed class StepProfiler(ProfileRange range, Device device, int workers)
{
    private readonly List<(long Step, long Start, long End)> steps = [];
    private long begun;

    public ProfileRange Range => range;

    /// <summary>What the thread of the training loop does.</summary>
    public ProfileLane Main { get; } = new("training", device);

    /// <summary>What each thread with rows of its own does; empty where there are none.</summary>
    public IReadOnlyList<ProfileLane> Workers { get; } =
        [.. Enumerable.Range(0, workers).Select(worker => new ProfileLane($"worker {worker}", device))];

    /// <summary>The steps that were timed.</summary>
    public IReadOnlyList<(long Step, long Start, long End)> Steps => steps;

    public void BeginStep() => begun = Main.Now();

    public void EndStep(long step) => steps.Add((step, begun, Main.Now()));
}

/// <summary>A thread's time, as spans that do not overlap.</summary>
internal sealed class ProfileLane(string name, Device device)
{
    private readonly List<ProfileSpan> spans = [];

    public string Name => name;

    public IReadOnlyList<ProfileSpan> Spans => spans;

    /// <summary>The clock, when the device has done what was asked of it.</summary>
    public long Now()
    {
        if (device.type == DeviceType.CUDA) cuda.synchronize(device);
        return Stopwatch.GetTimestamp();
    }

    /// <summary>Times what runs until the result is disposed of.</summary>
    public IDisposable Measure(string part) => new Measurement(this, part);

    /// <summary>Times a forward and a backward pass.</summary>
    public PassTimer BeginPass() => new(this);

    public void Add(string part, string label, long start, long end) => spans.Add(new(part, label, start, end));

    private sealed class Measurement(ProfileLane lane, string part) : IDisposable
    {
        private readonly long start = lane.Now();

        public void Dispose() => lane.Add(part, part, start, lane.Now());
    }
}

/// <summary>What a thread did from one moment to another, in ticks of <see cref="Stopwatch"/>.</summary>
/// <param name="Part">What is added up, such as <c>forward attention</c>.</param>
/// <param name="Label">What it was, such as <c>blocks.3.mixer</c>.</param>
/// <param name="Start">From when.</param>
/// <param name="End">To when.</param>
internal readonly record struct ProfileSpan(string Part, string Label, long Start, long End);

/// <summary>The names of what is added up, besides the kinds of layers.</summary>
internal static class ProfilePart
{
    public const string Data = "data", Threads = "threads", GradientSums = "sums and norms of gradients",
        Exchange = "waiting for gradients of other processes", Optimizer = "optimizer", Logging = "logging", Evaluation = "evaluation",
        Checkpoint = "checkpoint", Recording = "recording skipped steps";

    public static string Of(LayerKind kind, bool backward) => $"{(backward ? "backward" : "forward")} {kind switch
    {
        LayerKind.Embedding => "embedding",
        LayerKind.Norm => "norms",
        LayerKind.Attention => "attention",
        LayerKind.StateSpace => "state space",
        LayerKind.FeedForward => "feed-forward",
        LayerKind.Residual => "residual sums",
        LayerKind.Head => "head and loss",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown kind"),
    }}";
}
