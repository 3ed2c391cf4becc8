// Shapes: B batch, T query positions, S key positions, H heads, D head dimension.
using TorchSharp.Modules;
using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Attention.Patterns;
using Trainer.Transformers.Positions;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention;

/// <summary>Scalable softmax: queries times s·ln n, n being the number of keys each sees, so that attention does not flatten as sequences grow; s
/// is learned for each head (Nakanishi 2025, arXiv 2501.19399).</summary>
internal sealed class ScalableSoftmax : nn.Module
{
    private const double Start = 0.43; // what s came to in the paper's models
    private const int CountedRows = 256; // rows of a mask that are made at a time to be counted

    private readonly Parameter scale;
    private readonly AttentionPattern pattern;
    private readonly PositionTable causal;
    private readonly SpanTables others;

    public ScalableSoftmax(int heads, AttentionPattern pattern, int contextLength)
        : base(nameof(ScalableSoftmax))
    {
        this.pattern = pattern;
        scale = new Parameter(full([heads], Start));
        causal = new(positions => positions.add(1).log(), contextLength);
        others = new(Counted);
        RegisterComponents();
    }

    /// <summary>s of each head, (H).</summary>
    public Parameter Scale => scale;

    /// <summary>The queries of a call, each times s·ln n.</summary>
    /// <param name="call">With documents, where they are kept apart.</param>
    /// <param name="pass">What the layers share.</param>
    /// <returns>(B, H, T, D)</returns>
    public Tensor Apply(AttentionCall call, ForwardPass pass)
    {
        Tensor factors = Logarithms(call, pass).mul(scale.view(-1, 1, 1)); // (T, 1)·(H, 1, 1) → (H, T, 1), or (B, H, T, 1)
        return call.Query.mul(factors.to_type(call.Query.dtype));
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            causal.Dispose();
            others.Dispose();
        }
        base.Dispose(disposing);
    }

    // ln n, (T, 1), or (B, 1, T, 1) where documents decide too.
    private Tensor Logarithms(AttentionCall call, ForwardPass pass) =>
        call.Documents is not null ? pass.Shared((pattern, call.Queries, call.Keys), () => call.Mask().sum(-1, keepdim: true).to_type(ScalarType.Float32).log())
        : pattern.Shape == PatternShape.Causal ? causal.Rows(call.Queries.Start, call.Queries.Count, call.Query.device)
        : others.Get(call.Queries, call.Keys, call.Query.device);

    private Tensor Counted(PositionSpan queries, PositionSpan keys, Device device)
    {
        if (pattern.Shape == PatternShape.Full) return full([1, 1], Math.Log(keys.Count), device: device);
        List<Tensor> counts = [];
        for (int row = 0; row < queries.Count; row += CountedRows)
        {
            PositionSpan some = new(queries.Start + row, Math.Min(CountedRows, queries.Count - row));
            counts.Add(pattern.Mask(some, keys, device).sum(-1, keepdim: true));
        }
        return cat([.. counts]).to_type(ScalarType.Float32).log(); // (T, 1)
    }
}
