using System.Diagnostics;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Distributed;
using Trainer.Models;
using static TorchSharp.torch;
using OptimizerOptions = Trainer.Training.Optimizers.OptimizerOptions;

namespace Trainer.Training.Distribution;

/// <summary>Replaces every rank's gradients by their sums over all ranks, in buckets whose traffic goes on beside the backward pass (Li et
/// al. 2020, arXiv 2006.15704); where the optimizer is shared out, each rank gets the sums of its share alone.</summary>
/// <remarks>The buckets follow from model and optimizer alone, so that all ranks send the same ones in the same order: blocks from the last
/// to the first, then everything else, whose gradients may be whole only at the end. Where weights have to stay whole, buckets of blocks
/// hold them alone, and what may be cut travels with everything else.</remarks>
internal sealed class GradientExchange
{
    /// <summary>Blocks are put together until their gradients take this many bytes.</summary>
    public const long BucketBytes = 8 << 20;

    private readonly Device device;
    private readonly GradientBucket[] buckets;
    private readonly Dictionary<nn.Module, GradientBucket> bucketOf = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<Parameter> missing = new(ReferenceEqualityComparer.Instance); // without a gradient on this rank
    private readonly Stopwatch waiting = new();
    private HashSet<Parameter>? unused; // on no rank, and so without an update
    private int begun;

    /// <summary>Divides a model's weights among buckets; <paramref name="shared"/> is the optimizer whose state is shared out among the
    /// ranks, null where each has all of it.</summary>
    public GradientExchange(
        IProcessGroup group, SequenceModel model, OptimizerOptions? shared = null, long bucketBytes = BucketBytes)
    {
        (Group, device) = (group, model.Device);
        IReadOnlyDictionary<Parameter, int> owners = WeightOwners.Of(model, shared, group.Size);
        List<GradientBucket> all = [new()];
        Dictionary<Parameter, string> left = new(ReferenceEqualityComparer.Instance);
        foreach ((string name, Parameter parameter) in model.named_parameters())
            if (parameter.requires_grad) left.TryAdd(parameter, name);
        foreach (nn.Module block in model.Blocks.Reverse())
        {
            if (all[^1].Numbers * sizeof(float) >= bucketBytes) all.Add(new());
            bucketOf[block] = all[^1];
            all[^1].Blocks++;
            Take(block.parameters().Where(parameter => owners.Count == 0 || owners.ContainsKey(parameter)));
        }
        all.Add(new());
        Take(model.parameters().Where(parameter => !owners.ContainsKey(parameter)));
        all.Add(new()); // whole ones outside of blocks, such as a head
        Take(model.parameters());
        buckets = [.. all.Where(bucket => bucket.Weights.Count > 0)];
        Shards = shared is null ? null : new(group, buckets);

        void Take(IEnumerable<Parameter> parameters)
        {
            foreach (Parameter parameter in parameters)
                if (left.Remove(parameter, out string? name))
                    all[^1].Add(name, parameter, owners.TryGetValue(parameter, out int owner) ? owner : null);
        }
    }

    public IProcessGroup Group { get; }

    /// <summary>This rank's share of the optimizer; null where every rank has all of it.</summary>
    public WeightShards? Shards { get; }

    /// <summary>How gradients travel, for the log.</summary>
    public string Description =>
        $"gradients in {buckets.Length} buckets of up to {buckets.Max(bucket => bucket.Numbers) * sizeof(float) / 1048576.0:F1} MiB" +
        (Shards is null ? "" : $"; {Shards.Description}");

    /// <summary>The time for which this rank had nothing to do but to wait for sums.</summary>
    public TimeSpan Waited => waiting.Elapsed;

    /// <summary>Starts a step, of which nothing has been sent.</summary>
    public void Begin()
    {
        begun = 0;
        missing.Clear();
        foreach (GradientBucket bucket in buckets) bucket.Waiting = bucket.Blocks;
    }

    /// <summary>Notes that the gradients of a block are whole, and sends what can be sent.</summary>
    public void Differentiated(nn.Module block)
    {
        bucketOf[block].Waiting--;
        while (begun < buckets.Length && buckets[begun] is { Blocks: > 0, Waiting: 0 }) Send(buckets[begun++]);
    }

    /// <summary>Sends what is left and waits: gradients, and the loss in place, are the sums over all ranks.</summary>
    public void Finish(Tensor loss)
    {
        using IDisposable unrecorded = no_grad();
        while (begun < buckets.Length) Send(buckets[begun++]);
        PendingCollective total = Group.BeginSum(loss);
        waiting.Start();
        foreach (GradientBucket bucket in buckets) bucket.Pending!.Wait();
        total.Wait();
        waiting.Stop();
        unused ??= Unused();
        foreach (Parameter parameter in unused)
        {
            if (!missing.Contains(parameter))
                throw new InvalidOperationException("A weight that had no gradient in the first step has one now; others may have none.");
            parameter.grad = null;
        }
        Shards?.TakeGradients(unused);
        foreach (GradientBucket bucket in buckets) bucket.Release();
    }

    private void Send(GradientBucket bucket)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor flat = empty(Shards?.Length(bucket) ?? bucket.Numbers, ScalarType.Float32, device);
        foreach (BucketWeight weight in bucket.Weights)
        {
            Tensor place = flat.narrow(0, weight.From, weight.Numbers).view(weight.Parameter.shape);
            if (weight.Parameter.grad is { } gradient)
            {
                place.copy_(gradient);
            }
            else
            {
                place.zero_();
                missing.Add(weight.Parameter);
            }
            weight.Parameter.grad = Shards is null ? place : null;
        }
        bucket.Pending = Shards is null ? Group.BeginSum(flat) : Shards.BeginSum(bucket, flat);
        bucket.Sums = flat.DetachFromDisposeScope();
    }

    private HashSet<Parameter> Unused()
    {
        Parameter[] all = [.. buckets.SelectMany(bucket => bucket.Weights).Select(weight => weight.Parameter)];
        using Tensor uses = tensor(all.Select(parameter => missing.Contains(parameter) ? 0L : 1L).ToArray()).to(device);
        Group.Sum(uses);
        using Tensor known = uses.cpu();
        long[] counts = known.data<long>().ToArray();
        return all.Where((_, index) => counts[index] == 0).ToHashSet<Parameter>(ReferenceEqualityComparer.Instance);
    }
}

/// <summary>Weights whose gradients travel together, one after the other.</summary>
internal sealed class GradientBucket
{
    private readonly List<BucketWeight> weights = [];

    public IReadOnlyList<BucketWeight> Weights => weights;

    public long Numbers { get; private set; }

    /// <summary>Whether each of its weights is one rank's; else none is.</summary>
    public bool IsWhole => weights[0].Owner is not null;

    /// <summary>Blocks in it; 0 for what is in none.</summary>
    public int Blocks { get; set; }

    /// <summary>Those of them whose gradients are not whole yet.</summary>
    public int Waiting { get; set; }

    public PendingCollective? Pending { get; set; }

    public Tensor? Sums { get; set; }

    public void Add(string name, Parameter parameter, int? owner)
    {
        weights.Add(new(name, parameter, Numbers, owner));
        Numbers += parameter.numel();
    }

    /// <summary>Lets go of the sums, whose memory the gradients keep.</summary>
    public void Release()
    {
        Sums!.Dispose();
        (Pending, Sums) = (null, null);
    }
}

/// <summary>A weight, its place in a bucket, and the rank that updates all of it, where it must not be cut.</summary>
internal sealed record BucketWeight(string Name, Parameter Parameter, long From, int? Owner)
{
    public long Numbers { get; } = Parameter.numel();
}
