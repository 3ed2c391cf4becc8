using System.Globalization;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Distributed;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Distribution;

/// <summary>What the processes of one run tell each other besides gradients. The first writes to the run's directory and the terminal; all
/// others do the same and stay silent.</summary>
internal sealed class Ranks(IProcessGroup group, IProgress<string> terminal) : IProgress<string>
{
    // Preparing data takes as long as it takes; a process that ends meanwhile ends all of them.
    private static readonly TimeSpan WithoutLimit = TimeSpan.FromDays(7);

    private const long AtOnce = 1 << 24;

    /// <summary>What the line of <see cref="DescribeWaits"/> begins with, which is no property of the processes.</summary>
    public const string Waits = "waited for gradients";

    private readonly List<string> messages = [];

    public IProcessGroup Group => group;

    public bool IsFirst => group.Rank == 0;

    /// <summary>Shows a message of the first rank, and keeps others' for <see cref="TellOthers"/>.</summary>
    public void Report(string message)
    {
        if (IsFirst) terminal.Report(message);
        messages.Add(message);
    }

    /// <summary>Has the first rank tell once what only others reported, with their ranks.</summary>
    public void TellOthers()
    {
        if (group.Size == 1) return;
        IReadOnlyList<string> all = group.AllGather(string.Join('\0', messages));
        HashSet<string> told = [.. messages];
        for (int rank = 1; IsFirst && rank < all.Count; rank++)
            foreach (string message in all[rank].Split('\0', StringSplitOptions.RemoveEmptyEntries))
                if (told.Add(message)) terminal.Report($"rank {rank}: {message}");
        messages.Clear();
    }

    /// <summary>What the first rank finds, on all of them, however long it takes; null may be found too.</summary>
    public string? FromFirst(Func<string?> find)
    {
        if (group.Size == 1) return find();
        TimeSpan usual = group.Timeout;
        group.Timeout = WithoutLimit;
        string found = group.Broadcast(IsFirst ? find() ?? "" : null);
        group.Timeout = usual;
        return found.Length == 0 ? null : found;
    }

    /// <summary>Whether something is so on any rank by now; the answer, the same on all, is waited for when it is asked for. A single
    /// process looks then.</summary>
    public Func<bool> Any(Func<bool> here)
    {
        if (group.Size == 1) return here;
        Tensor count = tensor(here() ? 1L : 0L).DetachFromDisposeScope();
        PendingCollective pending = group.BeginSum(count);
        return () =>
        {
            pending.Wait();
            using (count) return count.item<long>() > 0;
        };
    }

    /// <summary>Waits for all ranks, however long they take: before a collective with a limit, where the first has work of its own.</summary>
    public void WaitForAll() => AnyInTheEnd(false);

    /// <summary>Whether something is so on any rank once all have come here, however long they take.</summary>
    public bool AnyInTheEnd(bool here)
    {
        if (group.Size == 1) return here;
        TimeSpan usual = group.Timeout;
        group.Timeout = WithoutLimit;
        IReadOnlyList<string> all = group.AllGather($"{here}");
        group.Timeout = usual;
        return all.Contains($"{true}");
    }

    /// <summary>How much of the time each rank waited for the others' gradients.</summary>
    public string DescribeWaits(TimeSpan waited, TimeSpan trained)
    {
        IEnumerable<string> shares = group.AllGather(string.Create(CultureInfo.InvariantCulture, $"{waited / trained:P1}"));
        return $"processes: {Waits} for {string.Join(", ", shares)} of the time of training";
    }

    /// <summary>Throws where ranks have different weights, and names those that differ from most.</summary>
    public void RequireSameWeights(SequenceModel model, long step)
    {
        if (group.Size == 1) return;
        IReadOnlyList<string> all = group.AllGather($"{Hash(model):x16} {Environment.MachineName}");
        string[] hashes = [.. all.Select(text => text[..16])];
        string common = hashes.GroupBy(hash => hash).OrderByDescending(same => same.Count()).First().Key;
        string[] others = [.. all.Index().Where(entry => hashes[entry.Index] != common).Select(
            entry => $"rank {entry.Index} ({entry.Item[17..]})")];
        if (others.Length > 0)
            throw new UserException(
                $"training stopped at step {step}: {string.Join(", ", others)} computed other weights than the other " +
                $"{group.Size - others.Length} of {group.Size} ranks. A processor, memory or GPU there may be faulty, or a library " +
                "differ; go on from the last checkpoint without it, with --resume");
    }

    private static ulong Hash(SequenceModel model)
    {
        XxHash3 hash = new();
        foreach ((_, Tensor value) in ModelWeights.Of(model))
        {
            using TorchSharp.DisposeScope scope = NewDisposeScope();
            Tensor numbers = value.detach().cpu().contiguous().view(-1);
            for (long at = 0; at < numbers.numel(); at += AtOnce)
            {
                Tensor part = numbers.narrow(0, at, Math.Min(AtOnce, numbers.numel() - at));
                hash.Append(MemoryMarshal.AsBytes(part.Span<float>()));
            }
        }
        return hash.GetCurrentHashAsUInt64();
    }
}
