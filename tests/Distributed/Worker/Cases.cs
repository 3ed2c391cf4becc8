using System.Security.Cryptography;
using static TorchSharp.torch;

namespace Trainer.Distributed.Worker;

/// <summary>What every rank checks, each by itself; the first rank prints a line for each case: its name, and what some rank found
/// wrong.</summary>
public static class Cases
{
    private static readonly ScalarType[] Summed = [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float64, ScalarType.Int64];
    private static readonly ScalarType[] Moved = [.. Summed, ScalarType.Byte];

    private static readonly Dictionary<string, Action<IProcessGroup>> All = new(List());

    private static string sameEverywhere = ""; // hashes that all ranks must share, of the case that runs

    public static IEnumerable<string> Names => All.Keys;

    /// <summary>Runs all, or those of sums alone.</summary>
    public static void Run(IProcessGroup group, bool onlySums)
    {
        var lines = new List<string>();
        foreach (var (name, check) in All.Where(pair => !onlySums || IsOfSums(pair.Key)))
        {
            using var scope = NewDisposeScope();
            sameEverywhere = "";
            try
            {
                check(group);
                lines.Add($"{name}\t\t{sameEverywhere}");
            }
            catch (Exception error) when (error is Wrong or ArgumentException)
            {
                lines.Add($"{name}\t{error.Message.Replace('\n', ' ')}\t{sameEverywhere}");
            }
        }
        var ranks = group.AllGather(string.Join('\n', lines)).Select(text => text.Split('\n')).ToArray();
        if (group.Rank != 0) return;
        for (var index = 0; index < lines.Count; index++) Tell([.. ranks.Select(rank => rank[index].Split('\t'))]);
    }

    public static bool IsOfSums(string name) => name.Contains("sum") || name.Contains("reduce") || name.Contains("same bits");

    // One line: the name, and what ranks found wrong.
    private static void Tell(string[][] ranks)
    {
        var wrong = ranks.Select((fields, rank) => $"rank {rank}: {fields[1]}").Where((_, rank) => ranks[rank][1].Length > 0).ToList();
        if (ranks.Select(fields => fields[2]).Distinct().Count() > 1) wrong.Add("ranks have different bits");
        Console.WriteLine($"{ranks[0][0]}\t{string.Join("; ", wrong)}");
    }

    private static IEnumerable<KeyValuePair<string, Action<IProcessGroup>>> List()
    {
        foreach (var type in Summed)
            foreach (var count in (long[])[0, 1, 7, 20_011])
            {
                yield return new($"sum of {count} {type}", group => Sum(group, type, count));
                yield return new($"reduce-scatter of {count} {type}", group => ReduceScatter(group, type, count, inPlace: false));
                yield return new($"reduce-scatter in place of {count} {type}", group => ReduceScatter(group, type, count, inPlace: true));
            }
        yield return new("sum of 10 million Float32", group => Sum(group, ScalarType.Float32, 1000, repeats: 10_000));
        yield return new("sum of 2.5 million BFloat16", group => Sum(group, ScalarType.BFloat16, 1000, repeats: 2_500));
        yield return new("the same bits whoever is late", SumsWithDelays);
        foreach (var type in Moved)
        {
            yield return new($"broadcast of {type} from every rank", group => Broadcast(group, type));
            yield return new($"gather of {type} to every rank", group => Gather(group, type));
            yield return new($"all-gather of {type}", group => AllGather(group, type));
        }
        yield return new("sums of numbers", Numbers);
        yield return new("texts and bytes", Texts);
        yield return new("several at once, waited for in another order", SeveralAtOnce);
        yield return new("tensors disposed while they are summed", Disposed);
        yield return new("refused tensors", Refused);
        yield return new("places of the ranks", Places);
        yield return new("a rank that waits leaves its core to others", Waiting);
        yield return new("null references are still exceptions", NullReference);
    }

    private static void Sum(IProcessGroup group, ScalarType type, long count, long repeats = 1)
    {
        var sum = Data(group.Rank, type, count).repeat(repeats);
        var expected = Expected(group, type, count).repeat(repeats);
        group.Sum(sum);
        Check(group, sum, expected);
        SameEverywhere(sum);
    }

    private static void ReduceScatter(IProcessGroup group, ScalarType type, long count, bool inPlace)
    {
        var whole = Data(group.Rank, type, count * group.Size);
        var expected = Expected(group, type, count * group.Size).view(group.Size, -1)[group.Rank];
        var own = whole.view(group.Size, -1)[group.Rank];
        var part = inPlace ? own : zeros(count, dtype: type);
        group.ReduceScatter(whole, part);
        Check(group, part, expected);
    }

    // A rank that is late must not change the order of sums.
    private static void SumsWithDelays(IProcessGroup group)
    {
        var random = new Random(group.Rank);
        string? first = null;
        for (var round = 0; round < 8; round++)
            foreach (var count in (long[])[9, 50_000])
            {
                var sum = Data(group.Rank, ScalarType.Float32, count);
                Thread.Sleep(random.Next(12));
                group.Sum(sum);
                SameEverywhere(sum);
                if (count != 9) continue;
                first ??= Hash(sum);
                Expect(first == Hash(sum), "the bits changed from one time to the next");
            }
    }

    private static void Broadcast(IProcessGroup group, ScalarType type)
    {
        for (var root = 0; root < group.Size; root++)
            foreach (var count in (long[])[0, 1, 30_000])
            {
                var tensor = Data(group.Rank, type, count);
                group.Broadcast(tensor, root);
                Expect(Hash(tensor) == Hash(Data(root, type, count)), $"not what rank {root} sent of {count}");
            }
    }

    private static void Gather(IProcessGroup group, ScalarType type)
    {
        for (var root = 0; root < group.Size; root++)
            foreach (var inPlace in (bool[])[false, true])
            {
                var whole = group.Rank == root ? zeros(group.Size * 7, dtype: type) : null;
                var part = Part(group, whole, type, 7, inPlace);
                group.Gather(part, whole, root);
                if (whole is not null) Expect(Hash(whole) == Hash(AllData(group, type, 7)), "not all that was sent");
            }
    }

    private static void AllGather(IProcessGroup group, ScalarType type)
    {
        foreach (var count in (long[])[0, 1, 30_000])
            foreach (var inPlace in (bool[])[false, true])
            {
                var whole = zeros(group.Size * count, dtype: type);
                var part = Part(group, whole, type, count, inPlace);
                group.AllGather(part, whole);
                Expect(Hash(whole) == Hash(AllData(group, type, count)), $"not all that was sent of {count}");
            }
    }

    private static void Numbers(IProcessGroup group)
    {
        Expect(group.Sum(group.Rank + 1L) == group.Size * (group.Size + 1L) / 2, "a wrong sum");
        Expect(group.Sum(0.5) == 0.5 * group.Size, "a wrong sum");
    }

    private static void Texts(IProcessGroup group)
    {
        var texts = group.AllGather(group.Rank == 0 ? "" : $"größer als {group.Rank}");
        Expect(texts.SequenceEqual(Enumerable.Range(0, group.Size).Select(rank => rank == 0 ? "" : $"größer als {rank}")), "other texts");
        var root = group.Size - 1;
        Expect(group.Broadcast(group.Rank == root ? "it is late" : null, root) == "it is late", "another text");
        Expect(group.Broadcast(group.Rank == 0 ? [1, 2, 255] : null).SequenceEqual<byte>([1, 2, 255]), "other bytes");
        Expect(group.Broadcast(group.Rank == 0 ? [] : null).Length == 0, "bytes from nowhere");
    }

    private static void SeveralAtOnce(IProcessGroup group)
    {
        var tensors = Enumerable.Range(1, 20).Select(number => full(number * 1000L, number)).ToList();
        var pending = tensors.Select(group.BeginSum).ToList();
        foreach (var one in Enumerable.Reverse(pending)) one.Wait();
        foreach (var (index, tensor) in tensors.Index())
            Expect(tensor.eq((index + 1) * group.Size).all().item<bool>(), $"a wrong sum of tensor {index}");
    }

    private static void Disposed(IProcessGroup group)
    {
        PendingCollective pending;
        using (NewDisposeScope()) pending = group.BeginSum(ones(1_000_000));
        var other = zeros(1_000_000); // gets the memory if it was freed
        pending.Wait();
        Expect(other.eq(0).all().item<bool>(), "memory that was freed was written to");
    }

    private static void Refused(IProcessGroup group)
    {
        Refuse("Int32 are not exchanged", () => group.Sum(ones(3, dtype: ScalarType.Int32)));
        Refuse("of shape (2, 3) and strides (1, 2) is not contiguous", () => group.Sum(ones(3, 2).t()));
        Refuse("Bytes are not summed", () => group.Sum(ones(3, dtype: ScalarType.Byte)));
        Refuse("A tensor on meta cannot be exchanged by MPI", () => group.Sum(ones(3, device: device("meta"))));
        Refuse($"There is no rank {group.Size}", () => group.Broadcast(ones(3), group.Size));
        Refuse("A whole of 3 Float32 does not consist", () => group.AllGather(ones(3), ones(3)));
        Refuse("must not overlap", () =>
        {
            var whole = ones(group.Size * 4);
            group.AllGather(whole.narrow(0, group.Rank == 0 ? 1 : 0, 4), whole);
        });
    }

    private static void Places(IProcessGroup group)
    {
        Expect(group.LocalRank == group.Rank && group.LocalSize == group.Size, "not all ranks on this machine");
        Expect(group.Description.EndsWith($"{group.Size} processes on 1 machine", StringComparison.Ordinal), group.Description);
    }

    private static void Waiting(IProcessGroup group)
    {
        using var tensor = ones(10);
        // The least of three: .NET compiles in the background, and the time is the whole process'.
        var least = double.MaxValue;
        for (var round = 0; round < 3; round++)
        {
            group.Sum(tensor);
            if (group.Rank == group.Size - 1) Thread.Sleep(200);
            var before = Environment.CpuUsage.TotalTime;
            group.Sum(tensor);
            least = Math.Min(least, (Environment.CpuUsage.TotalTime - before).TotalMilliseconds);
        }
        Expect(least < 75, $"{least:0} ms of 200 on a processor");
    }

    // Libraries below MPI take over the signal by which .NET finds them.
    private static void NullReference(IProcessGroup group)
    {
        try
        {
            _ = group.Size > 0 ? Nothing()!.Length : 0;
        }
        catch (NullReferenceException)
        {
            return;
        }
        Expect(false, "no exception");
    }

    private static string? Nothing() => null;

    private static void Refuse(string message, Action call)
    {
        try
        {
            call();
        }
        catch (ArgumentException error) when (error.Message.Contains(message, StringComparison.Ordinal))
        {
            return;
        }
        Expect(false, $"not refused by: {message}");
    }

    private static Tensor Part(IProcessGroup group, Tensor? whole, ScalarType type, long count, bool inPlace)
    {
        var data = Data(group.Rank, type, count);
        if (!inPlace || whole is null) return data;
        var own = whole.view(group.Size, -1)[group.Rank];
        own.copy_(data);
        return own;
    }

    private static Tensor AllData(IProcessGroup group, ScalarType type, long count) =>
        cat([.. Enumerable.Range(0, group.Size).Select(rank => Data(rank, type, count))]);

    // Values whose sum depends on the order.
    private static Tensor Data(int rank, ScalarType type, long count)
    {
        using var scope = NewDisposeScope();
        var values = sin(arange(count, dtype: ScalarType.Float32) * (1.7f + rank)) * (rank % 2 == 0 ? 1000 : 0.01f);
        if (type is ScalarType.Int64 or ScalarType.Byte) values = values.abs() * 100 % 256;
        return values.to(type).MoveToOuterDisposeScope();
    }

    /// <summary>What one process would get that adds them in turn; bfloat16 in float32.</summary>
    private static Tensor Expected(IProcessGroup group, ScalarType type, long count)
    {
        var wide = type == ScalarType.BFloat16 ? ScalarType.Float32 : type;
        var sum = Data(0, type, count).to(wide);
        for (var rank = 1; rank < group.Size; rank++) sum = sum + Data(rank, type, count).to(wide);
        return sum.to(type);
    }

    private static void Check(IProcessGroup group, Tensor result, Tensor expected)
    {
        var isExact = ((MpiProcessGroup)group).SumsInRankOrder || result.dtype is ScalarType.BFloat16 or ScalarType.Int64;
        if (isExact ? Hash(result) == Hash(expected) : allclose(result, expected, 1e-5, 1e-3)) return;
        throw new Wrong($"not {(isExact ? "the bits of the sum in the order of ranks" : "the sum")}: {Furthest(result, expected)}");
    }

    private static string Furthest(Tensor result, Tensor expected) =>
        $"off by up to {(result.to(ScalarType.Float64) - expected.to(ScalarType.Float64)).abs().max().item<double>()}";

    private static void SameEverywhere(Tensor tensor) => sameEverywhere += Hash(tensor);

    private static string Hash(Tensor tensor) => Convert.ToHexString(SHA256.HashData(tensor.contiguous().bytes));

    private static void Expect(bool truth, string message)
    {
        if (!truth) throw new Wrong(message);
    }

    private sealed class Wrong(string message) : Exception(message);
}
