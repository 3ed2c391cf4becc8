// Shapes: B batch, T query positions, S key positions, H heads, D head dimension.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp.Modules;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Models.Attention;

/// <summary>Scalable softmax: queries times s·ln n for n keys, s learned for each head (Nakanishi 2025, arXiv 2501.19399).</summary>
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

    public Parameter Scale => scale;

    public Tensor Apply(AttentionCall call, AttentionContext context) // (B, H, T, D)
    {
        Tensor factors = Logarithms(call, context).mul(scale.view(-1, 1, 1)); // (T, 1)·(H, 1, 1) → (H, T, 1), or (B, H, T, 1)
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

    // ln n: (T, 1), or (B, 1, T, 1) with documents or rows.
    private Tensor Logarithms(AttentionCall call, AttentionContext context)
    {
        if (call.Documents is not null || call.Rows is not null)
            return context.Shared(
                (pattern, call.Queries, call.Keys), () => call.Mask().sum(-1, keepdim: true).to_type(ScalarType.Float32).log());
        return pattern.Shape == PatternShape.Causal
            ? causal.Rows(call.Queries.Start, call.Queries.Count, call.Query.device)
            : others.Get(call.Queries, call.Keys, call.Query.device);
    }

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

/// <summary>Multiplies queries at position p by 1 + scale·ln(1 + ⌊(p + 1) / floor⌋), which keeps attention sharp (Llama 4).</summary>
/// <remarks>Nothing changes up to position floor − 2, so a trained model can get it. Llama 4 has it on layers without positions.</remarks>
public sealed record TemperatureOptions
{
    /// <summary>Positions per step.</summary>
    [Description("Positions to each step.")]
    [Range(1, 16_777_216)]
    public int Floor { get; init; } = 8192;

    /// <summary>Weight of the logarithm.</summary>
    [Description("Weight of the logarithm of the steps.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double Scale { get; init; } = 0.1;
}

internal sealed class QueryTemperature(TemperatureOptions options, int contextLength) : IDisposable
{
    private readonly PositionTable table = new(positions => Factors(positions, options), contextLength);

    public Tensor Apply(Tensor query, AttentionContext context)
    {
        Tensor factors = table.Rows(context, (int)query.size(2), query.device).to_type(query.dtype); // (T, 1) or (B, T, 1)
        return query.mul(context.Positions is null ? factors : factors.unsqueeze(1)); // (B, H, T, D)
    }

    public void Dispose() => table.Dispose();

    private static Tensor Factors(Tensor positions, TemperatureOptions options) =>
        positions.add(1).div(options.Floor).floor().log1p().mul(options.Scale).add(1); // (T, 1)
}
