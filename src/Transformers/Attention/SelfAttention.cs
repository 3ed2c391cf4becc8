// Shapes: B batch, T positions, S positions remembered and new, H query heads, G key-value heads, D head dimension, C model dimension.
using Trainer.Kernels;
using Trainer.Transformers.Attention.Caches;
using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Attention.Patterns;
using Trainer.Transformers.Attention.Projections;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention;

/// <summary>Attention of a sequence to itself: projection, positions, pattern, kernel and cache put together.</summary>
internal sealed class SelfAttention : Mixer
{
    private readonly Projection projection;
    private readonly CastLinear output;
    private readonly AttentionOptions options;
    private readonly AttentionComputation computation;
    private readonly ScalableSoftmax? scalableSoftmax;
    private readonly QueryTemperature? temperature;

    public SelfAttention(ModelParts parts, AttentionOptions options, NormBuilder headNorm)
        : base(nameof(SelfAttention))
    {
        this.options = options;
        computation = new(parts, options, cross: false);
        projection = options.BuildProjection(parts, options.QueryKeyNorm ? headNorm : null);
        scalableSoftmax = options.ScalableSoftmax ? new(options.Heads, parts.Pattern(options.ResolvedPattern), parts.Options.ContextLength) : null;
        temperature = options.Temperature is { } steps ? new(steps, parts.Options.ContextLength) : null;
        output = parts.ResidualLinear(projection.OutputWidth, parts.Dim, options.OutputBias);
        RegisterComponents();
    }

    public override Tensor Mix(Tensor x, MixerContext context)
    {
        if (AttendPacked(x, context) is { } heads) return output.forward(heads);
        (Tensor query, Tensor first, Tensor second) = projection.Project(x, context);
        (query, first, second) = (computation.Cast(query), computation.Cast(first), computation.Cast(second));
        if (context.State is LinearState sums) return Output(AttendTo(sums, query, first, second));
        var cache = context.State as KeyValueCache;
        PositionSpan queries = new(context.Offset, (int)x.size(1)), keys = queries;
        if (cache is not null) (first, second, keys) = cache.Append(first, second);
        (query, Tensor key, Tensor value) = projection.Expand(query, first, second, remembered: cache is not null); // (B, H|G, T|S, D)
        AttentionCall call = computation.Call(query, key, value, queries, keys, computation.Dropout(context, training)) with
        {
            Documents = context.Pass.Documents,
            Bias = context.Position.AddsBias ? new((from, to) => context.Position.Bias(query, context.Pass, from, to)!) : null,
        };
        return Output(projection.Finish(computation.Attend(Scaled(call, context), context), remembered: cache is not null));
    }

    public override LayerState NewState(int batch, int capacity, Device device)
    {
        if (options.ResolvedPattern.Prefix is null)
            throw new NotSupportedException($"Attention of pattern '{options.ResolvedPattern.Type}' sees later positions and cannot decode token by token.");
        return CacheSelection.Create(options, projection.Layout, batch, capacity, computation.Type(device), device);
    }

    public override KernelChoice? Kernel(int length, Device device, bool biased) =>
        computation.Resolve(length, projection.KeyHeads, biased, training, device);

    protected override void Dispose(bool disposing)
    {
        if (disposing) temperature?.Dispose();
        base.Dispose(disposing);
    }

    // (B, T, C) → (B, T, H·D), from what the projection makes as it is: where nothing is remembered, watched, or put on queries or scores.
    private Tensor? AttendPacked(Tensor x, MixerContext context)
    {
        if (context.State is not null || context.Pass.Observer is not null || context.Position.AddsBias || scalableSoftmax is not null || temperature is not null) return null;
        if (computation.PackedBand(x, context.Pass) is not { } band) return null;
        RotaryAngles? turns = context.Position.Angles(context.Pass, (int)x.size(1), x.device);
        if (context.Position.RotatesHeads && turns is null || projection.Pack(x, computation.PacksRounded) is not { } packed) return null;
        Tensor heads = computation.AttendPacked(packed, projection.KeyHeads, band, context.Position.ScoreFactor, turns, computation.Dropout(context, training), context.Pass.Documents);
        return heads.view(x.size(0), x.size(1), projection.OutputWidth);
    }

    // What is on the scores beside the attention's own scale: of the whole layer, and of each query.
    private AttentionCall Scaled(AttentionCall call, MixerContext context)
    {
        call = call with { Scale = call.Scale * context.Position.ScoreFactor };
        if (temperature is not null) call = call with { Query = temperature.Apply(call.Query, context.Pass) };
        return scalableSoftmax is null ? call : call with { Query = scalableSoftmax.Apply(call, context.Pass) };
    }

    // (B, H, T, D) → (B, T, C)
    private Tensor Output(Tensor heads) =>
        output.forward(heads.transpose(1, 2).reshape(heads.size(0), heads.size(2), projection.OutputWidth));

    private Tensor AttendTo(LinearState sums, Tensor query, Tensor first, Tensor second)
    {
        (query, Tensor key, Tensor value) = projection.Expand(query, first, second, remembered: false);
        return projection.Finish(sums.Attend(query, key, value), remembered: false); // (B, H, T, D)
    }
}
