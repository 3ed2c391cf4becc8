// Shapes: B batch, T positions, S positions remembered and new, H query heads, G key-value heads, D head dimension, C model dimension.
using System.Collections.Concurrent;
using TorchSharp;
using Trainer.Torch;
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
    private readonly AttentionPattern pattern;
    private readonly MaskStore masks;
    private readonly ScalarType computeType;
    private readonly double dropout;
    private readonly int headDim;
    private readonly ConcurrentDictionary<CallKind, IAttentionKernel> kernels = []; // threads share a model while they compute losses

    public SelfAttention(ModelParts parts, AttentionOptions options, NormBuilder headNorm)
        : base(nameof(SelfAttention))
    {
        this.options = options;
        headDim = options.HeadDim(parts.Dim);
        pattern = parts.Pattern(options.Pattern);
        masks = parts.Masks;
        computeType = parts.ComputeType;
        dropout = parts.Dropout;
        projection = options.BuildProjection(parts, options.QueryKeyNorm ? headNorm : null);
        output = parts.ResidualLinear(projection.OutputWidth, parts.Dim);
        RegisterComponents();
    }

    public override Tensor Mix(Tensor x, MixerContext context)
    {
        (Tensor query, Tensor first, Tensor second) = projection.Project(x, context.Position, context.Offset);
        ScalarType type = KernelType(x.device);
        if (computeType != ScalarType.Float32)
            (query, first, second) = (query.to_type(type), first.to_type(type), second.to_type(type));
        if (context.State is KeyValueCache cache) (first, second) = cache.Append(first, second);
        (Tensor key, Tensor value) = projection.Expand(first, second); // (B, G, S, D)
        AttentionCall call = Call(query, key, value, context.Offset) with { Bias = context.Position.Bias(query, key, context.Offset) };
        Tensor heads = Kernel(call).Attend(call); // (B, H, T, D)
        return output.forward(heads.transpose(1, 2).reshape(x.shape[0], x.shape[1], projection.OutputWidth)); // (B, T, C)
    }

    public override LayerState NewState(int batch, int capacity, Device device)
    {
        if (!options.Pattern.IsCausal)
            throw new NotSupportedException($"Attention of pattern '{options.Pattern.Type}' sees later positions and cannot decode token by token.");
        return new ContiguousCache(projection.Layout, batch, capacity, KernelType(device), device);
    }

    /// <summary>The kernel, and the backend of libtorch where it is one, that computes a whole sequence.</summary>
    /// <param name="length">Positions, T.</param>
    /// <param name="device">Where.</param>
    public (string Kernel, AttentionBackend? Backend) Resolve(int length, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        CacheLayout layout = projection.Layout;
        ScalarType type = KernelType(device);
        Tensor Heads(int count) => zeros(1, count, length, headDim, dtype: type, device: device);
        AttentionCall call = Call(Heads(options.Heads), Heads(layout.FirstHeads), Heads(layout.SecondHeads), offset: 0);
        IAttentionKernel kernel = Kernel(call);
        return (kernel.Name, kernel is FlashKernel ? FlashKernel.Backend(call) : null);
    }

    private AttentionCall Call(Tensor query, Tensor key, Tensor value, int offset) =>
        new(query, key, value, pattern, offset, projection.Scale, training ? dropout : 0, masks);

    private IAttentionKernel Kernel(in AttentionCall call)
    {
        CallKind kind = new(call.Query.device.type, call.Query.dtype, call.Dropout > 0, call.IsSquareCausal, call.SeesEverything, call.Bias is not null, call.Queries);
        if (kernels.TryGetValue(kind, out IAttentionKernel? kernel)) return kernel;
        return kernels[kind] = KernelSelection.Choose(options, headDim, call);
    }

    // libtorch's bfloat16 attention on CPUs is several times slower than its float32 one, so there only products are bfloat16.
    private ScalarType KernelType(Device device) => device.type == DeviceType.CPU ? ScalarType.Float32 : computeType;

    // What decides which kernels can run; asking libtorch each time would cost more than a small model's attention.
    private readonly record struct CallKind(DeviceType Device, ScalarType Type, bool Drops, bool SquareCausal, bool SeesEverything, bool Biased, int Queries);
}
