using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Models.Devices;
using Trainer.Training.Spikes;

namespace Trainer.Training;

/// <summary>Length, batches, number format and device of a run.</summary>
public sealed record TrainingOptions : IValidated
{
    /// <summary>Optimizer steps of the whole run.</summary>
    [Description("Optimizer steps of the whole run.")]
    [Range(1, long.MaxValue)]
    public required long Steps { get; init; }

    /// <summary>Sequences per optimizer step.</summary>
    [Description("Sequences per optimizer step.")]
    [Range(1, 1 << 24)]
    public required int BatchSize { get; init; }

    /// <summary>Sequences per micro-batch; <c>null</c>: the whole batch at once.</summary>
    [Description("Sequences computed at once; less memory, the same result. null: the whole batch.")]
    [Range(1, 1 << 24)]
    public int? MicroBatchSize { get; init; }

    /// <summary>The number format of matrix products; weights and optimizer state are always float32.</summary>
    [Description("The number format of matrix products; weights and optimizer state are always float32. tf32 is for NVIDIA GPUs: " +
        "float32 whose products are computed with 10 bits of precision.")]
    public Precision Precision { get; init; } = Precision.Float32;

    /// <summary>Where the model is computed.</summary>
    [Description("Where the model is computed; auto: the first GPU when there is one, else the CPU. cuda is the first GPU, cuda:1 the " +
        "second.")]
    public DeviceChoice Device { get; init; } = DeviceChoice.Auto;

    /// <summary>The limit of the gradients' common norm; 0 for none.</summary>
    [Description("The largest norm of all gradients together; longer ones are scaled down to it. 0: no limit.")]
    [Range(0.0, double.MaxValue)]
    public double GradientClip { get; init; } = 1.0;

    /// <summary>Label smoothing (Szegedy et al. 2016, arXiv 1512.00567). Validation always computes the plain loss.</summary>
    [Description("The share of each target's probability that the training loss spreads over all tokens; validation always measures " +
        "the plain loss. Better BLEU, worse perplexity (Vaswani et al. 2017).")]
    [Range(0.0, 0.99)]
    public double LabelSmoothing { get; init; }

    /// <summary>Activation checkpointing (Chen et al. 2016, arXiv 1604.06174).</summary>
    [Description("Whether the backward pass runs each block again instead of keeping what the forward pass computed in it: far less " +
        "memory, about a third more time, the same result bit for bit.")]
    public bool ActivationCheckpointing { get; init; }

    /// <summary>Whether only kernels are used that give the same bits every time.</summary>
    [Description("Whether only kernels are used that give the same bits every time. Costs speed on GPUs only.")]
    public bool Deterministic { get; init; } = true;

    /// <summary>Non-finite steps in a row before the run stops; their updates are always skipped. 0: never stop.</summary>
    [Description("How many steps in a row may have a non-finite loss or gradient before the run stops; their updates are skipped in " +
        "any case. 0: never stop.")]
    [Range(0, int.MaxValue)]
    public int NonFiniteLimit { get; init; } = 20;

    /// <summary>Whether steps far above those before them are skipped, and how far; null: none is.</summary>
    [Description("Skips steps whose loss or gradient norm lies far above those of the steps before. null: none is skipped. A GPU is " +
        "waited for at every step.")]
    public SpikeOptions? Spikes { get; init; }

    /// <summary>Whether each of several processes keeps only its share of the optimizer's state (ZeRO-1, Rajbhandari et al. 2020, arXiv
    /// 1910.02054).</summary>
    [Description("Whether each of several processes keeps only its share of the optimizer's state, and updates its share of the " +
        "weights: less memory, the same result but for rounding.")]
    public bool ShardOptimizer { get; init; }

    /// <summary>Seconds that a process waits for the others of its run.</summary>
    [Description("Seconds that a process waits for the others of its run (mpirun, srun) before it takes them for lost and all end.")]
    [Range(1, 1_000_000)]
    public int CollectiveTimeout { get; init; } = 600;

    /// <summary>Early parts of the run with other batches, in order; null for none.</summary>
    [Description("Early parts of the run with smaller batches or shorter sequences, in order; the rest is as set above.")]
    public IReadOnlyList<TrainingStageOptions>? Stages { get; init; }

    internal int MicroBatch => MicroBatchSize ?? BatchSize;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (MicroBatchSize is { } micro && micro > 0 && BatchSize % micro != 0)
            yield return new("microBatchSize", $"microBatchSize ({micro}) must divide batchSize ({BatchSize}); try {Nearest(micro)}");
        foreach (Problem problem in TrainingStages.Check(this)) yield return problem;
        if (Precision == Precision.Tf32 && Device == DeviceChoice.Cpu)
            yield return new("precision", "tf32 is a format of NVIDIA GPUs, and training.device " +
                "is cpu; set precision to float32 or bfloat16");
    }

    /// <summary>Why so many processes cannot share out a batch.</summary>
    internal IEnumerable<Problem> ValidateFor(int ranks)
    {
        if (MicroBatch % ranks == 0) yield break;
        int below = MicroBatch / ranks * ranks, above = below + ranks;
        string nearest = below == 0 ? $"{above}" : $"{below} or {above}";
        yield return MicroBatchSize is null
            ? new("training.batchSize", $"{BatchSize} sequences cannot be shared out evenly among {ranks} processes; the nearest sizes " +
                $"are {nearest}")
            : new("training.microBatchSize", $"it counts the sequences of all processes together, and {MicroBatchSize} cannot be shared " +
                $"out evenly among {ranks}; the nearest sizes are {nearest}, of which batchSize ({BatchSize}) has to be a multiple");
    }

    private int Nearest(int micro)
    {
        int candidate = Math.Min(micro, BatchSize);
        while (BatchSize % candidate != 0) candidate--;
        return candidate;
    }
}
