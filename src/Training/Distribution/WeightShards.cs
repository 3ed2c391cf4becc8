using System.Text.Json;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Distributed;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Distribution;

/// <summary>The share of all weights that this rank's optimizer updates, so that its state is on one rank each (ZeRO-1, Rajbhandari et al.
/// 2020, arXiv 1910.02054). A bucket is cut into equal pieces, one a rank, wherever that cuts a weight; of a bucket of whole weights each
/// is one rank's, as <see cref="WeightOwners"/> says.</summary>
/// <remarks>The weights themselves stay on all ranks, in float32: norms, embeddings and rounded copies read them. Whole weights are summed
/// and handed out as they are: pieces of one length, as reduce-scatter and all-gather want them, would each be as long as the largest
/// weight.</remarks>
internal sealed class WeightShards : IDisposable
{
    private readonly IProcessGroup group;
    private readonly GradientBucket[] buckets, cutBuckets;
    private readonly BucketWeight[] wholeWeights;
    private readonly Shard[] shards;

    public WeightShards(IProcessGroup group, GradientBucket[] buckets)
    {
        (this.group, this.buckets) = (group, buckets);
        cutBuckets = [.. buckets.Where(bucket => !bucket.IsWhole)];
        wholeWeights = [.. buckets.Where(bucket => bucket.IsWhole).SelectMany(bucket => bucket.Weights)];
        shards = [.. buckets.SelectMany(bucket => bucket.Weights.Select(weight => ShardOf(bucket, weight)).OfType<Shard>())];
    }

    public string Description =>
        $"optimizer shared out, {shards.Sum(shard => shard.Numbers):N0} of {buckets.Sum(bucket => bucket.Numbers):N0} parameters here";

    /// <summary>What the optimizer gets for weights: those in this rank's share, or the parts of them, under the weights' names.</summary>
    public IReadOnlyList<(string Name, Parameter Value)> Parameters => [.. shards.Select(shard => (shard.Weight.Name, shard.Part))];

    /// <summary>A bucket's numbers, with padding where it is cut.</summary>
    public long Length(GradientBucket bucket) => bucket.IsWhole ? bucket.Numbers : Piece(bucket) * group.Size;

    /// <summary>Starts to sum a bucket of that length; what is in this rank's share becomes the sums.</summary>
    public PendingCollective BeginSum(GradientBucket bucket, Tensor flat)
    {
        if (bucket.IsWhole) return group.BeginSum(flat);
        flat.narrow(0, bucket.Numbers, Length(bucket) - bucket.Numbers).zero_();
        return group.BeginReduceScatter(flat, Own(bucket, flat));
    }

    /// <summary>Gives the parts their gradients, once the buckets have the sums.</summary>
    public void TakeGradients(IReadOnlySet<Parameter> unused)
    {
        foreach (Shard shard in shards)
        {
            using DisposeScope scope = NewDisposeScope();
            shard.Part.grad = unused.Contains(shard.Weight.Parameter)
                ? null
                : shard.Bucket.Sums!.narrow(0, shard.Weight.From + shard.From, shard.Numbers).view(shard.Part.shape);
        }
    }

    /// <summary>The norm of all ranks' gradients, a float32 scalar on the device. Its last bits depend on the number of ranks.</summary>
    public Tensor Norm()
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor[] squares = [.. shards.Select(shard => shard.Part.grad).OfType<Tensor>().Select(
            gradient => linalg.vector_norm(gradient).to(ScalarType.Float64).square())];
        Tensor sum = squares.Length == 0
            ? zeros([], dtype: ScalarType.Float64, device: buckets[0].Weights[0].Parameter.device)
            : stack(squares).sum();
        group.Sum(sum);
        return sum.sqrt().to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Gives all ranks the weights that each has updated.</summary>
    public void Spread()
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach (Shard shard in shards) shard.Part.grad = null; // they keep whole buckets
        PendingCollective[] handedOut = [.. wholeWeights.Select(weight => group.BeginBroadcast(weight.Parameter, weight.Owner!.Value))];
        Tensor[] flats = [.. cutBuckets.Select(bucket => empty(Length(bucket), ScalarType.Float32, bucket.Weights[0].Parameter.device))];
        var pending = new PendingCollective[cutBuckets.Length];
        for (int i = 0; i < cutBuckets.Length; i++)
        {
            foreach (Shard shard in shards.Where(shard => shard.Bucket == cutBuckets[i]))
                flats[i].narrow(0, shard.Weight.From + shard.From, shard.Numbers).copy_(shard.Part.view(-1));
            pending[i] = group.BeginAllGather(Own(cutBuckets[i], flats[i]), flats[i]);
        }
        foreach ((PendingCollective broadcast, BucketWeight weight) in handedOut.Zip(wholeWeights))
        {
            broadcast.Wait();
            weight.Parameter.copy_(weight.Parameter); // writes nothing, but makes a new version, which ComputeWeight goes by
        }
        for (int i = 0; i < cutBuckets.Length; i++)
        {
            pending[i].Wait();
            foreach (BucketWeight weight in cutBuckets[i].Weights)
                weight.Parameter.copy_(flats[i].narrow(0, weight.From, weight.Numbers).view(weight.Parameter.shape));
        }
    }

    /// <summary>The optimizer's whole state on the first rank, new tensors there, as one process would name it; nothing on others, which
    /// call this too.</summary>
    public IReadOnlyList<(string Name, Tensor Value)> Collect(Optimizer optimizer)
    {
        using IDisposable unrecorded = no_grad();
        Dictionary<string, Tensor> state = optimizer.State.ToDictionary(entry => entry.Name, entry => entry.Value);
        string[] own = [.. shards.Where(shard => !shard.Bucket.IsWhole).SelectMany(shard => KindsOf(shard, state))];
        string[] kinds = [.. group.AllGather(string.Join(' ', own.Distinct())).SelectMany(
            text => text.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Distinct()];
        List<(string, Tensor)> all = [];
        foreach (GradientBucket bucket in cutBuckets)
            foreach (string kind in kinds)
                all.AddRange(kind[0] == Scalar ? CollectScalars(bucket, kind[1..], state) : CollectNumbers(bucket, kind[1..], state));
        if (wholeWeights.Length > 0) all.AddRange(CollectWhole(state));
        return all;
    }

    /// <summary>Loads this rank's share of what <see cref="Collect"/> gave, whatever the number of ranks was; all call it.</summary>
    public void Load(string path, Optimizer optimizer)
    {
        optimizer.BeginLoad();
        Dictionary<string, Tensor> state = optimizer.State.ToDictionary(entry => entry.Name, entry => entry.Value);
        TensorFile.LoadParts(path, [.. shards.SelectMany(shard => PartsOf(shard, state))], "the optimizer");
        Spread(); // the state may name the weights, too
    }

    public void Dispose()
    {
        foreach (Shard shard in shards) shard.Part.Dispose();
    }

    // A number for each number of the weight, or one for all of it, with its type.
    private const char Elementwise = '=', Scalar = '.';

    private static IEnumerable<KeyValuePair<string, Tensor>> StateOf(Shard shard, Dictionary<string, Tensor> state) =>
        state.Where(entry => entry.Key.StartsWith(shard.Weight.Name + ".", StringComparison.Ordinal)
            && entry.Key.LastIndexOf('.') == shard.Weight.Name.Length);

    private static IEnumerable<string> KindsOf(Shard shard, Dictionary<string, Tensor> state) =>
        StateOf(shard, state).Select(entry => entry.Key[(shard.Weight.Name.Length + 1)..] is var kind && entry.Value.dim() == 0
            ? $"{Scalar}{kind}{Scalar}{entry.Value.dtype}"
            : Elementwise + kind);

    private static IEnumerable<TensorPart> PartsOf(Shard shard, Dictionary<string, Tensor> state) =>
        StateOf(shard, state).Select(entry => shard.Bucket.IsWhole || entry.Value.dim() == 0
            ? new TensorPart(entry.Key, entry.Value.shape, 0, entry.Value)
            : new TensorPart(entry.Key, shard.Weight.Parameter.shape, shard.From, entry.Value));

    // Whole weights have states of any type and shape: their ranks say which, and hand them out one by one.
    private List<(string, Tensor)> CollectWhole(Dictionary<string, Tensor> state)
    {
        StateTensor[] own = [.. shards.Where(shard => shard.Bucket.IsWhole).SelectMany(shard => StateOf(shard, state)).Select(
            entry => new StateTensor(entry.Key, entry.Value.dtype, entry.Value.shape))];
        List<(string, Tensor)> collected = [];
        foreach ((int owner, string text) in group.AllGather(JsonSerializer.Serialize(own)).Index())
            foreach (StateTensor announced in JsonSerializer.Deserialize<StateTensor[]>(text)!)
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor value = owner == group.Rank
                    ? state[announced.Name].detach().clone()
                    : empty(announced.Shape, announced.Type, wholeWeights[0].Parameter.device);
                group.Broadcast(value, owner);
                if (group.Rank == 0) collected.Add((announced.Name, value.DetachFromDisposeScope()));
            }
        return collected;
    }

    private IEnumerable<(string, Tensor)> CollectNumbers(GradientBucket bucket, string kind, Dictionary<string, Tensor> state)
    {
        Device device = bucket.Weights[0].Parameter.device;
        using Tensor part = zeros(Piece(bucket), ScalarType.Float32, device);
        long begin = Piece(bucket) * group.Rank;
        foreach (Shard shard in shards.Where(shard => shard.Bucket == bucket))
        {
            using DisposeScope scope = NewDisposeScope();
            part.narrow(0, shard.Weight.From + shard.From - begin, shard.Numbers).copy_(state[$"{shard.Weight.Name}.{kind}"].view(-1));
        }
        using Tensor? whole = group.Rank == 0 ? empty(Length(bucket), ScalarType.Float32, device) : null;
        group.Gather(part, whole);
        if (whole is null) return [];
        return [.. bucket.Weights.Select(weight => ($"{weight.Name}.{kind}", Slice(whole, weight)))];
    }

    private static Tensor Slice(Tensor whole, BucketWeight weight)
    {
        using DisposeScope scope = NewDisposeScope();
        return whole.narrow(0, weight.From, weight.Numbers).view(weight.Parameter.shape).DetachFromDisposeScope();
    }

    private IEnumerable<(string, Tensor)> CollectScalars(GradientBucket bucket, string kind, Dictionary<string, Tensor> state)
    {
        using DisposeScope scope = NewDisposeScope();
        string[] parts = kind.Split(Scalar);
        (string name, ScalarType type) = (parts[0], Enum.Parse<ScalarType>(parts[1]));
        // From the rank that has the weight's first number.
        var values = new double[bucket.Weights.Count];
        foreach (Shard shard in shards.Where(shard => shard.Bucket == bucket && shard.From == 0))
            values[bucket.Weights.Index().First(entry => entry.Item == shard.Weight).Index] =
                state[$"{shard.Weight.Name}.{name}"].to(ScalarType.Float64).item<double>();
        Tensor sum = tensor(values).to(bucket.Weights[0].Parameter.device);
        group.Sum(sum);
        if (group.Rank > 0) return [];
        values = sum.cpu().data<double>().ToArray();
        return [.. bucket.Weights.Select(
            (weight, index) => ($"{weight.Name}.{name}", tensor(values[index]).to(type).DetachFromDisposeScope()))];
    }

    private long Piece(GradientBucket bucket) => (bucket.Numbers + group.Size - 1) / group.Size;

    private Tensor Own(GradientBucket bucket, Tensor flat) => flat.narrow(0, Piece(bucket) * group.Rank, Piece(bucket));

    private Shard? ShardOf(GradientBucket bucket, BucketWeight weight)
    {
        if (bucket.IsWhole)
            return weight.Owner == group.Rank ? new(bucket, weight, 0, weight.Numbers, PartOf(weight.Parameter.detach())) : null;
        long begin = Math.Max(Piece(bucket) * group.Rank, weight.From);
        long end = Math.Min(Piece(bucket) * (group.Rank + 1), weight.From + weight.Numbers);
        if (begin >= end) return null;
        using DisposeScope scope = NewDisposeScope();
        Tensor part = weight.Parameter.detach().view(-1).narrow(0, begin - weight.From, end - begin);
        // A matrix's numbers stay those of a matrix: its weights decay, a vector's do not.
        if (weight.Parameter.dim() >= 2) part = part.view(-1, 1);
        return new(bucket, weight, begin - weight.From, end - begin, PartOf(part));
    }

    private static Parameter PartOf(Tensor memory) => new(memory.DetachFromDisposeScope(), requires_grad: false);

    /// <summary>The part of a weight in this rank's share: numbers from <c>From</c> on; <c>Part</c> is its memory.</summary>
    private sealed record Shard(GradientBucket Bucket, BucketWeight Weight, long From, long Numbers, Parameter Part);

    private sealed record StateTensor(string Name, ScalarType Type, long[] Shape);
}
