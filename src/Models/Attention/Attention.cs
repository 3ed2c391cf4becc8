// Shapes: B batch, T positions, S positions remembered and new or of an encoder's output, H query heads, G key-value heads, D head dimension, C model dimension.
using System.Collections.Concurrent;
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models.Attention;

/// <summary>One layer of attention, of a sequence to itself or to an encoder's output (Vaswani et al. 2017, §3.2): project, rotate, remember, attend, put together.</summary>
/// <remarks>Safe for several threads, which share a model while they compute losses.</remarks>
internal sealed class AttentionLayer : Mixer
{
    private readonly Projection projection;
    private readonly CastLinear output;
    private readonly ScalableSoftmax? scalableSoftmax;
    private readonly QueryTemperature? temperature;
    private readonly ModelParts parts;
    private readonly AttentionOptions options;
    private readonly AttentionPattern pattern;
    private readonly bool cross;
    private readonly int headDim;
    private readonly ConcurrentDictionary<CallKind, IAttentionKernel> kernels = [];

    /// <param name="parts">What the layers of a stack share.</param>
    /// <param name="options">The attention, its pattern not null.</param>
    /// <param name="headNorm">Makes norms of query and key heads.</param>
    /// <param name="cross">Whether keys and values come from an encoder's output.</param>
    public AttentionLayer(ModelParts parts, AttentionOptions options, NormBuilder headNorm, bool cross)
        : base(nameof(AttentionLayer))
    {
        (this.parts, this.options, this.cross, headDim) = (parts, options, cross, options.HeadWidth(parts.Dim));
        pattern = parts.Pattern(options.ResolvedPattern);
        NormBuilder? norm = options.QueryKeyNorm ? headNorm : null;
        projection = cross ? options.BuildCrossProjection(parts, norm) : options.BuildProjection(parts, norm);
        scalableSoftmax = options.ScalableSoftmax && !cross ? new(options.Heads, pattern, parts.Options.ContextLength) : null;
        temperature = options.Temperature is { } steps && !cross ? new(steps, parts.Options.ContextLength) : null;
        output = parts.ResidualLinear(projection.OutputWidth, parts.Dim, options.OutputBias);
        RegisterComponents();
    }

    /// <summary>Attends.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="context">Where these positions stand; its state is a cache of earlier ones, or what <see cref="Remember"/> made of an encoder's output.</param>
    /// <returns>(B, T, C)</returns>
    public override Tensor Mix(Tensor x, MixerContext context)
    {
        if (AttendPacked(x, context) is { } whole) return output.forward(whole);
        (Tensor query, Tensor key, Tensor value) = projection.Project(x, context); // (B, H|G|G, T|S|S, D), rotated
        (query, key, value) = (Cast(query), Cast(key), Cast(value));
        PositionSpan queries = new(context.Offset, (int)x.size(1)), keys = cross ? new(0, (int)key.size(2)) : queries;
        KeyValueCache? cache = context.State as KeyValueCache;
        if (cache is not null) (key, value, keys) = cache.Append(key, value);
        (query, key, value) = projection.Expand(query, key, value, remembered: cache is not null); // (B, H|G|G, T|S|S, D)
        Tensor heads = context.State is LinearState sums ? sums.Attend(query, key, value) : Attend(Call(query, key, value, queries, keys, context), context); // (B, H, T, D)
        heads = projection.Finish(heads, remembered: cache is not null);
        return output.forward(heads.transpose(1, 2).reshape(x.size(0), x.size(1), projection.OutputWidth)); // (B, T, C)
    }

    /// <inheritdoc/>
    public override LayerState NewState(int batch, int capacity, Device device)
    {
        if (options.ResolvedPattern.Prefix is null)
            throw new NotSupportedException($"Attention of pattern '{options.ResolvedPattern.Type}' sees later positions and cannot decode token by token.");
        return CacheSelection.Create(options, options.CacheLayout(parts.Dim), batch, capacity, Type(device), device);
    }

    /// <summary>Keys and values of an encoder's output, so that decoding makes them once.</summary>
    public LayerState Remember(EncoderMemory memory)
    {
        (Tensor key, Tensor value) = ((CrossProjection)projection).KeyValue(memory.Hidden);
        return new CrossState(Cast(key), Cast(value), memory.Documents?.Keys);
    }

    /// <summary>The kernel that computes a whole sequence, and its backend.</summary>
    /// <param name="length">Positions of queries and of keys.</param>
    /// <param name="device">Where.</param>
    /// <param name="biased">Whether positions add to the scores.</param>
    public override KernelChoice? Kernel(int length, Device device, bool biased)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor Heads(int count) => zeros(1, count, length, headDim, dtype: Type(device), device: device);
        PositionSpan span = new(0, length);
        AttentionCall call = new(Heads(options.Heads), Heads(projection.KeyHeads), Heads(projection.KeyHeads), pattern, span, span, options.ScoreScale(parts.Dim), parts.Masks)
        {
            Dropout = new(training ? parts.Dropout : 0, Seed: 0, First: 0, Place: 0), // whichever weights they are
            SoftCap = options.SoftCap,
            Bias = biased ? new((_, _) => zeros([1, options.Heads, 1, 1], dtype: Type(device), device: device)) : null,
        };
        IAttentionKernel kernel = Kernel(call);
        return new(kernel.Name, kernel is FlashKernel ? FlashKernel.Backend(call) : null);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) temperature?.Dispose();
        base.Dispose(disposing);
    }

    // (B, T, C) → (B, T, H·D), by the kernel that splits and rotates [queries | keys | values] itself: whole sequences, of which nobody watches the weights, with
    // nothing put on queries or scores. The numbers are those of the other way; nothing is copied around them.
    private Tensor? AttendPacked(Tensor x, MixerContext context)
    {
        if (cross || context.State is not null || context.Pass.Observer is not null || context.Position.AddsBias || scalableSoftmax is not null || temperature is not null) return null;
        if (FlashKernel.PackedBand(options, headDim, pattern, x, context.Pass.Documents) is not { } band) return null;
        RotaryAngles? angles = context.Position.Angles(context.Pass, (int)x.size(1), x.device);
        bool rounds = parts.ComputeType == ScalarType.BFloat16 && FlashAttention.IsSupported(headDim, ScalarType.BFloat16);
        if (context.Position.RotatesHeads && angles is null || projection.Pack(x, rounds) is not { } packed) return null; // (B, T, H + 2·G, D)
        double scale = options.ScoreScale(parts.Dim) * context.Position.ScoreFactor;
        Tensor? documents = context.Pass.Documents?.Spans((int)x.size(1));
        Tensor heads = FlashAttention.AttendPacked(packed, projection.KeyHeads, scale, band.Before, band.After, angles, Dropout(context), documents); // (B, T, H, D)
        return heads.view(x.size(0), x.size(1), projection.OutputWidth);
    }

    private Tensor Attend(in AttentionCall call, MixerContext context)
    {
        IAttentionKernel kernel = Kernel(call);
        context.Pass.Observer?.Observe(context.Layer, cross, kernel.Weights(call));
        return kernel.Attend(call);
    }

    private AttentionCall Call(Tensor query, Tensor key, Tensor value, PositionSpan queries, PositionSpan keys, MixerContext context)
    {
        AttentionCall call = new(query, key, value, pattern, queries, keys, options.ScoreScale(parts.Dim), parts.Masks)
        {
            Dropout = Dropout(context),
            SoftCap = options.SoftCap,
            Documents = !cross ? context.Pass.Documents : context.State is CrossState state ? state.Documents : context.Pass.Memory!.Documents,
        };
        if (cross) return call;
        call = call with
        {
            Scale = call.Scale * context.Position.ScoreFactor,
            Bias = context.Position.AddsBias ? new((from, to) => context.Position.Bias(query, context.Pass, from, to)!) : null,
        };
        if (temperature is not null) call = call with { Query = temperature.Apply(call.Query, context.Pass) };
        return scalableSoftmax is null ? call : call with { Query = scalableSoftmax.Apply(call, context.Pass) };
    }

    // None are dropped outside training.
    private CounterDropout Dropout(MixerContext context) => training && parts.Dropout > 0
        ? context.Pass.Dropout(parts.Dropout, context.Layer, cross ? DropoutPlace.CrossWeights : DropoutPlace.Weights)
        : default;

    // libtorch's bfloat16 attention on CPUs is several times slower than its float32 one, so there only products are bfloat16.
    private ScalarType Type(Device device) => device.type == DeviceType.CPU ? ScalarType.Float32 : parts.ComputeType;

    private Tensor Cast(Tensor heads) => parts.ComputeType == ScalarType.Float32 ? heads : heads.to_type(Type(heads.device));

    private IAttentionKernel Kernel(in AttentionCall call)
    {
        CallKind kind = new(
            call.Query.device.type, call.Query.dtype, call.Query.size(3), call.Dropout.Probability > 0, call.IsSquareCausal, call.SeesEverything, call.Bias is not null,
            call.Documents is not null, call.Spans is not null, call.IsLong, call.Queries.Count < AttentionCall.FewestRows);
        if (kernels.TryGetValue(kind, out IAttentionKernel? kernel)) return kernel;
        return kernels[kind] = KernelSelection.Choose(options, headDim, call);
    }

    // What decides which kernels can run; asking libtorch each time would cost more than a small model's attention.
    private readonly record struct CallKind(
        DeviceType Device, ScalarType Type, long Width, bool Drops, bool SquareCausal, bool SeesEverything, bool Biased, bool Documents, bool SideBySide, bool Long, bool Few);
}

/// <summary>How queries, keys and values are made from the residual stream.</summary>
/// <remarks>It decides what decoding remembers: <see cref="Project"/> returns the two tensors of each new token that go into the cache, and <see cref="Expand"/> turns
/// what the cache gives back into keys and values. Most remember keys and values themselves; latent attention remembers less and expands.</remarks>
internal abstract class Projection(string name) : nn.Module(name)
{
    /// <summary>Width of the concatenated heads, which the output matrix reads.</summary>
    public abstract int OutputWidth { get; }

    /// <summary>Heads of the keys and values that a whole sequence is computed with.</summary>
    public abstract int KeyHeads { get; }

    /// <summary>Queries of the new tokens, and what is to be remembered of them, rotated by their positions.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="context">Where the tokens stand, and how positions rotate queries and keys.</param>
    /// <returns>Query (B, H, T, D); key and value as the options' <see cref="CacheLayout"/> says.</returns>
    public abstract (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, MixerContext context);

    /// <summary>Queries, keys and values of a whole sequence in one tensor, [queries | keys | values] of each token, where that is what the projection
    /// makes and nothing but to rotate it is left to be done.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="rounds">Whether it may be bfloat16, where products are.</param>
    /// <returns>(B, T, H + 2·G, D), or null where there is no such tensor.</returns>
    public virtual Tensor? Pack(Tensor x, bool rounds) => null;

    /// <summary>Keys (B, G, S, D) and values (B, G, S, D) from what was remembered, and the queries (B, H, T, D) that fit them.</summary>
    /// <param name="query">From <see cref="Project"/>.</param>
    /// <param name="key">As the options' <see cref="CacheLayout"/> says, S positions.</param>
    /// <param name="value">Likewise.</param>
    /// <param name="remembered">Whether they come from a cache: decoding may have a cheaper form.</param>
    public virtual (Tensor Query, Tensor Key, Tensor Value) Expand(Tensor query, Tensor key, Tensor value, bool remembered) => (query, key, value);

    /// <summary>What becomes of the kernel's result: (B, H, T, width of a head's result).</summary>
    /// <param name="heads">(B, H, T, width of a value).</param>
    /// <param name="remembered">As in <see cref="Expand"/>.</param>
    public virtual Tensor Finish(Tensor heads, bool remembered) => heads;
}
