// Shapes: B batch, T positions, S positions of the source, H query heads, G key-value heads, D head dimension, C model dimension.
using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Attention.Projections;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention;

/// <summary>Attention of a decoder to an encoder's output (Vaswani et al. 2017, §3.2.3): queries from the stream, keys and values from the memory,
/// without positions.</summary>
internal sealed class CrossAttention : nn.Module
{
    private readonly CrossProjection projection;
    private readonly CastLinear output;
    private readonly AttentionComputation computation;

    public CrossAttention(ModelParts parts, AttentionOptions options, NormBuilder headNorm)
        : base(nameof(CrossAttention))
    {
        computation = new(parts, options, cross: true);
        projection = options.BuildCrossProjection(parts, options.QueryKeyNorm ? headNorm : null);
        output = parts.ResidualLinear(projection.OutputWidth, parts.Dim, options.OutputBias);
        RegisterComponents();
    }

    /// <summary>Attends to the pass's memory, or to what is remembered of it.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="context">Where these positions stand.</param>
    /// <param name="state">From <see cref="Remember"/>; null when the pass holds the memory itself.</param>
    /// <returns>(B, T, C)</returns>
    public Tensor Attend(Tensor x, MixerContext context, LayerState? state)
    {
        CrossState? remembered = (CrossState?)state;
        (Tensor key, Tensor value) = remembered is null ? Project(context.Pass.Memory!.Hidden) : (remembered.Key, remembered.Value); // (B, G, S, D)
        DocumentIds? documents = remembered is null ? context.Pass.Memory!.Documents : remembered.Documents;
        Tensor query = computation.Cast(projection.Query(x)); // (B, H, T, D)
        AttentionCall call = computation.Call(query, key, value, new(context.Offset, (int)x.size(1)), new(0, (int)key.size(2)), computation.Dropout(context, training)) with
        {
            Documents = documents,
        };
        Tensor heads = computation.Attend(call, context); // (B, H, T, D)
        return output.forward(heads.transpose(1, 2).reshape(x.size(0), x.size(1), projection.OutputWidth)); // (B, T, C)
    }

    /// <summary>Keys and values of an encoder's output, so that decoding makes them once.</summary>
    public LayerState Remember(EncoderMemory memory)
    {
        (Tensor key, Tensor value) = Project(memory.Hidden);
        return new CrossState(key, value, memory.Documents?.Keys);
    }

    /// <summary>The kernel for a target and a source of this length, and its backend.</summary>
    public KernelChoice? Kernel(int length, Device device) => computation.Resolve(length, projection.KeyHeads, biased: false, training, device);

    private (Tensor Key, Tensor Value) Project(Tensor memory)
    {
        (Tensor key, Tensor value) = projection.KeyValue(memory);
        return (computation.Cast(key), computation.Cast(value));
    }
}
