using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Optimizers;

/// <summary>How gradients change the weights. A new optimizer is a derived record in its own file, and one line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AdamWOptions), "adamw")]
[JsonDerivedType(typeof(ScheduleFreeOptions), "schedule-free-adamw")]
[JsonDerivedType(typeof(MuonOptions), "muon")]
[JsonDerivedType(typeof(LionOptions), "lion")]
[JsonDerivedType(typeof(AdafactorOptions), "adafactor")]
[JsonDerivedType(typeof(SgdOptions), "sgd")]
public abstract record OptimizerOptions
{
    /// <summary>The learning rate at the peak of the schedule.</summary>
    [Description("The learning rate at the peak of the schedule.")]
    [Range(0.0, double.MaxValue, MinimumIsExclusive = true)]
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>What differs for some parameters; null for nothing.</summary>
    [Description("Learning rates and weight decay that differ for embeddings, matrices, head or vectors.")]
    public ParameterGroupsOptions? Groups { get; init; }

    /// <summary>Averages the weights over steps; null for no average.</summary>
    [Description("An exponential moving average of the weights, which is what is evaluated, sampled and kept in checkpoints.")]
    public AverageOptions? Average { get; init; }

    /// <summary>Whether a step needs parameters in their own shapes. Others also update flat pieces of them, (n, 1), one by one.</summary>
    [JsonIgnore]
    public virtual bool NeedsWholeMatrices => false;

    /// <summary>Where it does, whether of a parameter that has this role and so many numbers.</summary>
    internal virtual bool NeedsWhole(ParameterRole role, long numbers) => NeedsWholeMatrices;

    /// <summary>Bytes of state, as float32 numbers, of so many parameters; roughly, as <c>plan</c> counts them.</summary>
    internal double StateNumbers(ParameterCounts parameters) => Moments(parameters) + (Average is null ? 0 : parameters.All);

    private protected virtual double Moments(ParameterCounts parameters) => 2.0 * parameters.All;

    /// <summary>Builds the optimizer with fresh state for all trainable parameters, each once; every operation uses the whole device where
    /// <paramref name="threads"/> is null. The caller disposes it.</summary>
    /// <param name="parameters">Names and values; moments start at zero, averages of weights at the values.</param>
    /// <param name="threads">Threads to share the parameters among.</param>
    /// <param name="layout">What they are in the model; Muon needs it, and <see cref="Groups"/> for embeddings and head.</param>
    public Optimizer Build(IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads = null,
        ParameterLayout? layout = null)
    {
        Optimizer optimizer = Create(parameters, threads, layout);
        return Average is null ? optimizer : new ExponentialAverage(Average, optimizer, parameters, threads);
    }

    private protected abstract Optimizer Create(
        IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads, ParameterLayout? layout);
}

/// <summary>Updates parameters from their gradients, and owns the state this takes.</summary>
public abstract class Optimizer : IDisposable
{
    private readonly WorkerThreads? threads;
    private readonly HashSet<Parameter>[] shares;

    /// <summary>Divides all trainable parameters among threads if there are any.</summary>
    /// <exception cref="ArgumentException">A name or a parameter is listed twice.</exception>
    protected Optimizer(IReadOnlyList<(string Name, Parameter Value)> parameters, WorkerThreads? threads)
    {
        ParameterGroups.RequireOnce(parameters); // here, for some optimizers sort halves of them
        this.threads = threads;
        int count = threads?.Count ?? 1;
        // By position: layers repeat, so every thread gets about as much of each size. By reference: tensors of equal numbers are equal.
        shares = [.. Enumerable.Range(0, count).Select(thread =>
            parameters.Where((_, index) => index % count == thread)
                .Select(p => p.Value).ToHashSet<Parameter>(ReferenceEqualityComparer.Instance))];
    }

    /// <summary>What <see cref="Dispose"/> frees.</summary>
    internal virtual IEnumerable<Tensor> Owned => State.Select(state => state.Value);

    /// <summary>The parameter groups for the log, a line each.</summary>
    public abstract IReadOnlyList<string> Description { get; }

    /// <summary>The state by name, as it goes into <c>optimizer.safetensors</c>. It is loaded after the model's weights, which it may
    /// name too.</summary>
    public abstract IEnumerable<(string Name, Tensor Value)> State { get; }

    /// <summary>Updates all parameters that have a gradient; nothing where <paramref name="skip"/>, a float32 scalar there, is 1.</summary>
    internal void Step(double learningRate, Tensor skip) => ForEachShare(share => Update(share, learningRate, skip));

    /// <summary>Clips the gradients to a common norm of <paramref name="maxNorm"/> (0 for no limit), given their norm, a scalar on the
    /// device, and steps, in one pass of the threads.</summary>
    internal void ClipAndStep(Tensor norm, double maxNorm, double learningRate, Tensor skip) => ForEachShare(share =>
    {
        Gradients.Scale([.. share.Select(parameter => parameter.grad).OfType<Tensor>()], norm, maxNorm);
        Update(share, learningRate, skip);
    });

    /// <summary>Puts the weights to evaluate and to keep, where they are not those in training, into the parameters, until the result is
    /// disposed of; then training goes on with the bits from before. No step may be taken between. null where nothing differs.</summary>
    internal virtual IDisposable? UseAverages() => null;

    /// <summary>Updates the parameters of one share that have a gradient, without a record. Shares may be updated on several threads at
    /// once.</summary>
    protected internal abstract void Update(IReadOnlySet<Parameter> share, double learningRate, Tensor skip);

    /// <summary>Runs an update in place that changes none of <paramref name="written"/> where <paramref name="skip"/> is 1. The CPU does not
    /// run it then. A GPU, whose scalars nobody waits for, does, and puts the old values back.</summary>
    internal static void Unless(Tensor skip, IReadOnlyList<Tensor> written, Action update, bool? waits = null)
    {
        if (waits ?? skip.device_type == DeviceType.CPU)
        {
            if (skip.item<float>() != 1) update();
            return;
        }
        using DisposeScope scope = NewDisposeScope();
        Tensor skips = skip.eq(1);
        Tensor[] before = [.. written.Select(tensor => tensor.detach().clone())];
        update();
        foreach ((Tensor tensor, Tensor old) in written.Zip(before)) tensor.copy_(where(skips, old, tensor.detach()));
    }

    /// <summary>State that no dispose scope owns.</summary>
    private protected static Tensor NewState(long[] shape, Device device, ScalarType type = ScalarType.Float32) =>
        zeros(shape, dtype: type, device: device).DetachFromDisposeScope();

    internal void Save(string path) => TensorFile.Save(path, State);

    /// <summary>Loads what <see cref="Save"/> saved for the same parameters; the error lists names and shapes that differ.</summary>
    internal void Load(string path)
    {
        BeginLoad();
        TensorFile.Load(path, [.. State], "the optimizer");
    }

    /// <summary>Called when the parameters hold a checkpoint's model, before the state is loaded.</summary>
    internal virtual void BeginLoad()
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor value in Owned) value.Dispose();
        GC.SuppressFinalize(this);
    }

    private void ForEachShare(Action<HashSet<Parameter>> work)
    {
        if (threads is null) Scoped(0);
        else threads.Run(Scoped);

        void Scoped(int share)
        {
            using DisposeScope scope = NewDisposeScope();
            using IDisposable unrecorded = no_grad();
            work(shares[share]);
        }
    }
}

/// <summary>Numbers of a model in its embeddings, in its head if that is none of them, and in its blocks.</summary>
internal readonly record struct ParameterCounts(long Embeddings, long Matrices, long Head)
{
    public long All => Embeddings + Matrices + Head;

    /// <summary>With a parameter more; vectors count as matrices.</summary>
    public ParameterCounts With(ParameterRole role, long numbers) => role switch
    {
        ParameterRole.Embedding => this with { Embeddings = Embeddings + numbers },
        ParameterRole.Head => this with { Head = Head + numbers },
        _ => this with { Matrices = Matrices + numbers },
    };
}

/// <summary>Checks the decay rates of two running means.</summary>
internal static class DecayRates
{
    public static IEnumerable<Problem> Check(IReadOnlyList<double> betas, string example)
    {
        if (betas.Count != 2)
            yield return new("betas", $"has {betas.Count} {(betas.Count == 1 ? "value" : "values")}; two are needed, such as {example}");
        for (int i = 0; i < betas.Count; i++)
            if (!(betas[i] >= 0 && betas[i] < 1))
                yield return new($"betas.{i}", $"is {betas[i]}; it must be at least 0 and below 1");
    }
}
