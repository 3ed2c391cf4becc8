// Shapes: B batch, T new positions, S visible positions, H query heads, G key-value heads, D head dimension.
using Trainer.Torch;
using Trainer.Transformers.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Kernels;

/// <summary>Computes the visible pairs of a pattern and few others, tile by tile (<see cref="TilePlan"/>): time and memory O(T·b) where a
/// position sees b others, forward and backward.</summary>
/// <remarks>The tiles run in libtorch's flash kernel on the CPU; see <see cref="TileAttention"/>.</remarks>
internal sealed class BlockSparseKernel : IAttentionKernel
{
    private const int ShortestThatPays = 128;

    public string Name => "block-sparse";

    public string? RefusesConfiguration(AttentionOptions options, int headDim) => null;

    public string? RefusesCall(in AttentionCall call)
    {
        if (call.Bias is not null)
            return "block-sparse cannot add these positions' bias to the scores; set kernel to 'auto' or 'reference', or position to 'rotary'";
        return call.Dropout > 0
            ? $"block-sparse cannot drop attention weights (dropout {call.Dropout}); set dropout to 0, or kernel to 'auto' or 'reference'"
            : null;
    }

    // Below, one product over everything is quicker than the tiles' gathering; a single new token sees no more than the cache holds.
    public bool Pays(in AttentionCall call) => call.Pattern.Shape == PatternShape.Masked && call.Queries >= ShortestThatPays;

    public Tensor Attend(in AttentionCall call) =>
        TileAttention.Attend(call.Query, call.Key, call.Value, call.Plan().Groups, call.Scale);

    // The logarithm of each softmax's sum; the weights are computed again.
    public (long PerHead, long PerHeadAndKey) Activations => (1, 0);
}
