// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D head dimension.
using System.Collections.Concurrent;
using TorchSharp;
using Trainer.Kernels;
using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention;

/// <summary>What attention of a sequence to itself and to an encoder have in common: softmax(QKᵀ)V with the kernel that can, and its precision.</summary>
/// <remarks>Safe for several threads, which share a model while they compute losses.</remarks>
internal sealed class AttentionComputation(ModelParts parts, AttentionOptions options, bool cross)
{
    private readonly AttentionPattern pattern = parts.Pattern(options.ResolvedPattern);
    private readonly int headDim = options.HeadWidth(parts.Dim);
    private readonly ConcurrentDictionary<CallKind, IAttentionKernel> kernels = [];
    private readonly bool packs = options.Kernel is AttentionKernel.Auto or AttentionKernel.Flash or AttentionKernel.BlockSparse
        && options.SoftCap is null && options.HeadWidth(parts.Dim) <= FlashKernel.LargestHead && FlashAttention.IsSupported(options.HeadWidth(parts.Dim), ScalarType.Float32);

    /// <summary>The factor on QKᵀ.</summary>
    public double Scale => options.ScoreScale(parts.Dim);

    /// <summary>How many of the last keys a query sees, its own included, where it sees no others, nothing is put on the scores, and any kernel may compute it;
    /// else null.</summary>
    public long? Window => options is { Kernel: AttentionKernel.Auto, SoftCap: null } && pattern.Band is { After: 0 } band ? band.Before : null;

    /// <summary>The type attention is computed in.</summary>
    /// <remarks>libtorch's bfloat16 attention on CPUs is several times slower than its float32 one, so there only products are bfloat16.</remarks>
    public ScalarType Type(Device device) => device.type == DeviceType.CPU ? ScalarType.Float32 : parts.ComputeType;

    /// <summary>A tensor in the type attention is computed in.</summary>
    public Tensor Cast(Tensor heads) => parts.ComputeType == ScalarType.Float32 ? heads : heads.to_type(Type(heads.device));

    /// <summary>Whether <see cref="AttendPacked"/> takes bfloat16.</summary>
    public bool PacksRounded { get; } = parts.ComputeType == ScalarType.BFloat16 && FlashAttention.IsSupported(options.HeadWidth(parts.Dim), ScalarType.BFloat16);

    /// <summary>The band in which a whole sequence attends to itself, where <see cref="AttendPacked"/> computes it; else null.</summary>
    /// <remarks>It gives what the kernels give that <c>auto</c> takes there, with nothing split or copied around them.</remarks>
    /// <param name="x">(B, T, C)</param>
    /// <param name="pass">Which documents are kept apart.</param>
    public PatternBand? PackedBand(Tensor x, ForwardPass pass) =>
        packs && x.device_type == DeviceType.CPU && x.size(0) > 0 && x.size(1) >= AttentionCall.FewestRows && (pass.Documents is null || pass.Documents.Spans((int)x.size(1)) is not null)
            ? pattern.Band
            : null;

    /// <summary>Computes attention of a sequence to itself.</summary>
    /// <param name="packed">(B, T, H + 2·G, D) = [queries | keys | values], float32, or bfloat16 where <see cref="PacksRounded"/>.</param>
    /// <param name="groups">Heads of keys and of values, G.</param>
    /// <param name="band">From <see cref="PackedBand"/>.</param>
    /// <param name="factor">On the scores, beside these options' own.</param>
    /// <param name="turns">How queries and keys are turned before, in place; null where they are not.</param>
    /// <param name="dropout">From <see cref="Dropout"/>.</param>
    /// <param name="documents">Those that are kept apart.</param>
    /// <returns>(B, T, H, D)</returns>
    public Tensor AttendPacked(Tensor packed, int groups, PatternBand band, double factor, RotaryAngles? turns, CounterDropout dropout, DocumentIds? documents) =>
        FlashAttention.AttendPacked(packed, groups, Scale * factor, band.Before, band.After, turns, dropout, documents?.Spans((int)packed.size(1)));

    /// <summary>Which weights are dropped.</summary>
    /// <param name="context">The layer.</param>
    /// <param name="training">None are outside training.</param>
    public CounterDropout Dropout(MixerContext context, bool training) => training && parts.Dropout > 0
        ? context.Pass.Dropout(parts.Dropout, context.Layer, cross ? DropoutPlace.CrossWeights : DropoutPlace.Weights)
        : default;

    /// <summary>A call of these options' kernel.</summary>
    /// <param name="query">(B, H, T, D)</param>
    /// <param name="key">(B, G, S, D)</param>
    /// <param name="value">(B, G, S, D)</param>
    /// <param name="queries">Where the queries stand.</param>
    /// <param name="keys">Where the keys stand.</param>
    /// <param name="dropout">From <see cref="Dropout"/>.</param>
    public AttentionCall Call(Tensor query, Tensor key, Tensor value, PositionSpan queries, PositionSpan keys, CounterDropout dropout) =>
        new(query, key, value, pattern, queries, keys, Scale, parts.Masks)
        {
            Dropout = dropout,
            SoftCap = options.SoftCap,
        };

    /// <summary>Computes attention.</summary>
    /// <param name="call">From <see cref="Call"/>.</param>
    /// <param name="context">Who listens to the weights.</param>
    /// <returns>(B, H, T, D)</returns>
    public Tensor Attend(in AttentionCall call, MixerContext context)
    {
        IAttentionKernel kernel = Kernel(call);
        context.Pass.Observer?.Observe(context.Layer, cross, kernel.Weights(call));
        return kernel.Attend(call);
    }

    /// <summary>The kernel that computes whole sequences, and its backend.</summary>
    /// <param name="length">Positions of queries and of keys.</param>
    /// <param name="keyHeads">Heads of keys and of values.</param>
    /// <param name="biased">Whether positions add to the scores.</param>
    /// <param name="training">Whether weights are dropped.</param>
    /// <param name="device">Where.</param>
    public KernelChoice Resolve(int length, int keyHeads, bool biased, bool training, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor Heads(int count, int width) => zeros(1, count, length, width, dtype: Type(device), device: device);
        PositionSpan span = new(0, length);
        CounterDropout dropout = new(training ? parts.Dropout : 0, Seed: 0, First: 0, Place: 0); // whichever weights they are
        AttentionCall call = Call(Heads(options.Heads, headDim), Heads(keyHeads, headDim), Heads(keyHeads, headDim), span, span, dropout);
        if (biased) call = call with { Bias = new((_, _) => zeros([1, options.Heads, 1, 1], dtype: Type(device), device: device)) };
        IAttentionKernel kernel = Kernel(call);
        return new(kernel.Name, kernel is FlashKernel ? FlashKernel.Backend(call) : null);
    }

    private IAttentionKernel Kernel(in AttentionCall call)
    {
        CallKind kind = new(
            call.Query.device.type, call.Query.dtype, call.Query.size(3), call.Dropout.Probability > 0, call.IsSquareCausal, call.SeesEverything, call.Bias is not null, call.Documents is not null,
            call.Spans is not null, call.IsLong, call.Queries.Count < AttentionCall.FewestRows);
        if (kernels.TryGetValue(kind, out IAttentionKernel? kernel)) return kernel;
        return kernels[kind] = KernelSelection.Choose(options, headDim, call);
    }

    // What decides which kernels can run; asking libtorch each time would cost more than a small model's attention.
    private readonly record struct CallKind(
        DeviceType Device, ScalarType Type, long Width, bool Drops, bool SquareCausal, bool SeesEverything, bool Biased, bool Documents, bool SideBySide, bool Long, bool Few);
}
