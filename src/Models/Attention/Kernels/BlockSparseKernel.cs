// Shapes: B batch, T query positions, S key positions, H query heads, D head dimension.
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>Computes the visible pairs of a pattern and few others, tile by tile (<see cref="TilePlan"/>): time and memory O(T·b) where a
/// position sees b others, forward and backward.</summary>
/// <remarks>It takes any pattern, bias, bound of scores and documents; where flash refuses one of those, it still spares the memory of
/// T·S weights. On the CPU a plain window runs in <see cref="FlashAttention"/> where the
/// processor allows it, and tiles in libtorch's flash kernel; see <see cref="BlockSparseAttention"/>.</remarks>
internal sealed class BlockSparseKernel : IAttentionKernel
{
    public string Name => "block-sparse";

    public string? RefusesConfiguration(AttentionOptions options, int headDim) => null;

    public string? RefusesCall(in AttentionCall call) => call.Dropout.Probability > 0 && !call.IsBand
        ? $"block-sparse drops attention weights (dropout {call.Dropout.Probability}) only within a window, each document in one piece, on a processor with AVX2 or NEON; set dropout to 0, or kernel to 'auto' or 'reference'"
        : null;

    // A few queries see little more than their own keys, which one product does sooner than tiles are gathered.
    public bool Pays(in AttentionCall call) => call.IsLong;

    public Tensor Attend(in AttentionCall call) => call.IsBand ? call.AttendBand() : BlockSparseAttention.Attend(
        call.Query, call.Key, call.Value, call.Plan().Groups, call.Scale, call.SoftCap ?? 0, DocumentsOf(call),
        call.Bias?.ByDistance(call.Queries, call.Keys, call.Query.device));

    private static (Tensor Queries, Tensor Keys)? DocumentsOf(in AttentionCall call)
    {
        if (call.Documents is not { } documents) return null;
        if (documents.Queries is { } queries) return (queries, documents.Keys);
        // Every query belongs to what is not padding.
        Tensor filled = documents.Keys.clamp(max: 0); // (B, S): 0, or −1 for padding
        return (zeros([filled.size(0), call.Queries.Count], ScalarType.Int64, filled.device), filled);
    }
}
