// Shapes: T query positions, S key positions.
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Who sees whom. A new pattern is one file and one <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(FullOptions), "full")]
[JsonDerivedType(typeof(CausalOptions), "causal")]
[JsonDerivedType(typeof(PrefixOptions), "prefix")]
[JsonDerivedType(typeof(SlidingOptions), "sliding")]
[JsonDerivedType(typeof(StridedOptions), "strided")]
[JsonDerivedType(typeof(FixedOptions), "fixed")]
[JsonDerivedType(typeof(LongformerOptions), "longformer")]
[JsonDerivedType(typeof(BigBirdOptions), "bigbird")]
public abstract record PatternOptions : IValidated
{
    internal string Type => Registered.Name(typeof(PatternOptions), GetType());

    internal abstract bool IsCausal { get; }

    /// <summary>Length of the prefix whose positions see each other, the rest being causal; 1 if all are, null if neither.</summary>
    internal virtual int? Prefix => IsCausal ? 1 : null;

    internal virtual KeyWindow? KeyWindow => null;

    /// <summary>Whether who sees whom depends on where a row begins (sinks, global tokens, blocks), and not on distances alone.</summary>
    internal virtual bool CountsFromBeginning => false;

    /// <summary>About how many keys a position sees; causal attention counts as all of them, by PaLM's convention.</summary>
    internal virtual long VisibleKeys(int length) => length;

    /// <summary>Advice where the pattern must be causal.</summary>
    internal virtual string CausalAdvice => "use 'causal'";

    internal virtual string FullAdvice => "use 'full'";

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    internal abstract AttentionPattern Build();
}

/// <summary>Who sees whom; every position sees itself.</summary>
/// <remarks><see cref="Visible"/> is the specification; the other members let kernels do without a mask of T·S.</remarks>
internal abstract class AttentionPattern
{
    public virtual PatternShape Shape => PatternShape.Masked;

    /// <summary>The band of keys around its position that a query sees; null if the pattern is none.</summary>
    public virtual PatternBand? Band => Shape switch
    {
        PatternShape.Full => PatternBand.Everything,
        PatternShape.Causal => PatternBand.Past,
        _ => null,
    };

    /// <summary>Patterns that make up this one: each visible pair is visible in exactly one of them.</summary>
    public virtual IReadOnlyList<AttentionPattern> Parts => [this];

    /// <summary>The distance between queries that see much the same keys; 1 if those are adjacent.</summary>
    public virtual int QueryStep => 1;

    /// <summary>How many such queries are best computed together.</summary>
    public virtual int TileRows => 256;

    /// <summary>The mask of absolute positions, (T, 1) and (1, S), int64: bool (T, S), true where visible.</summary>
    public abstract Tensor Visible(Tensor queries, Tensor keys);

    /// <summary>A superset of the keys before <paramref name="end"/>, each once, that queries <see cref="QueryStep"/> apart see.</summary>
    public virtual IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) => [PositionRun.Until(0, end)];

    public Tensor Mask(PositionSpan queries, PositionSpan keys, Device device) => // bool (T, S)
        Visible(queries.Positions(device).unsqueeze(1), keys.Positions(device).unsqueeze(0));
}

/// <summary>Every position sees every position: encoders.</summary>
public sealed record FullOptions : PatternOptions
{
    internal override bool IsCausal => false;

    internal override AttentionPattern Build() => new FullPattern();
}

internal sealed class FullPattern : AttentionPattern
{
    public override PatternShape Shape => PatternShape.Full;

    public override Tensor Visible(Tensor queries, Tensor keys) =>
        ones(queries.size(0), keys.size(1), ScalarType.Bool, queries.device); // (T, S)
}

/// <summary>Every position sees itself and those before it: decoders.</summary>
public sealed record CausalOptions : PatternOptions
{
    internal override bool IsCausal => true;

    internal override AttentionPattern Build() => new CausalPattern();
}

internal sealed class CausalPattern : AttentionPattern
{
    public override PatternShape Shape => PatternShape.Causal;

    public override Tensor Visible(Tensor queries, Tensor keys) => keys.le(queries);

    public override IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) => [PositionRun.Until(0, queries.Last + 1)];
}

internal enum PatternShape
{
    Full,
    Causal,
    Masked,
}

/// <summary>Position i sees i − Before + 1 … i + After.</summary>
internal readonly record struct PatternBand(long Before, long After)
{
    public static PatternBand Everything { get; } = new(FlashAttention.Unbounded, FlashAttention.Unbounded);

    public static PatternBand Past { get; } = new(FlashAttention.Unbounded, 0);
}

/// <summary>The last <paramref name="Window"/> positions, the current one included, and the first <paramref name="Sinks"/>.</summary>
internal readonly record struct KeyWindow(int Window, int Sinks);

/// <summary><c>Count</c> positions in all: the first <c>Sinks</c> of the sequence, then consecutive ones from <c>Start</c>.</summary>
internal readonly record struct PositionSpan(int Start, int Count, int Sinks = 0)
{
    public int End => Start + Count - Sinks;

    public Tensor Positions(Device device) // int64 (Count)
    {
        Tensor consecutive = arange(Start, Start + Count - Sinks, ScalarType.Int64, device);
        return Sinks == 0 ? consecutive : cat([arange(0, Sinks, ScalarType.Int64, device), consecutive], 0);
    }

    public int RowOf(int position) => position < Sinks ? position : position - Start + Sinks;

    public IEnumerable<PositionRun> Clip(PositionRun run) =>
        Sinks == 0 ? [run.Within(Start, End)] : [run.Within(0, Sinks), run.Within(Math.Max(Start, Sinks), End)];
}

/// <summary>Positions <c>Step</c> apart; none if <c>Count</c> is not positive.</summary>
internal readonly record struct PositionRun(int Start, int Count, int Step = 1)
{
    public int Last => Start + (Count - 1) * Step;

    public PositionRun Within(int start, int end)
    {
        int skipped = Math.Max(0, (start - Start + Step - 1) / Step);
        return Until(Start + skipped * Step, Math.Min(end, Start + Math.Max(0, Count) * Step), Step);
    }

    /// <summary>The positions from <paramref name="start"/> to before <paramref name="end"/>.</summary>
    public static PositionRun Until(int start, int end, int step = 1) => new(start, Math.Max(0, (end - start + step - 1) / step), step);
}
