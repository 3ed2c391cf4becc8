// Shapes: B batch, T positions, S cached and new positions or those of an encoder's output, H query heads, G key-value heads, D head
// dimension, C model dimension.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Mixers;
using static TorchSharp.torch;

namespace Trainer.Models.Attention;

/// <summary>Attention, by its projection. A new projection is one file and one <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(MultiHeadOptions), "multi-head")]
[JsonDerivedType(typeof(MultiQueryOptions), "multi-query")]
[JsonDerivedType(typeof(GroupedQueryOptions), "grouped-query")]
[JsonDerivedType(typeof(LatentOptions), "latent")]
[JsonDerivedType(typeof(DifferentialOptions), "differential")]
public abstract record AttentionOptions : IValidated
{
    /// <summary>Number of query heads, H.</summary>
    [Description("Number of query heads; it must divide dim.")]
    [Range(1, 4096)]
    public required int Heads { get; init; }

    /// <summary>Which positions each position sees; null for causal in a decoder and full in an encoder.</summary>
    [Description("Which positions each position may see; by default causal in a decoder and full in an encoder.")]
    public PatternOptions? Pattern { get; init; }

    /// <summary>How softmax(QKᵀ)V is computed.</summary>
    [Description(
        "How attention is computed: auto takes flash where it can run, for sparse patterns block-sparse, else reference; a named " +
        "kernel is required. linear is another function than softmax attention.")]
    public AttentionKernel Kernel { get; init; } = AttentionKernel.Auto;

    /// <summary>Whether query and key heads are normed, with the model's kind of norm, before positions are applied.</summary>
    [Description("Whether each query and key head is normalised before positions are applied.")]
    public bool QueryKeyNorm { get; init; }

    /// <summary>The factor on QKᵀ; null for 1/√D. T5 has 1.</summary>
    [Description("The factor on the scores of queries and keys; by default 1/√(width of a head). T5: 1.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double? Scale { get; init; }

    /// <summary>Bounds scores s to cap·tanh(s / cap) (Gemma 2: 50); null for no bound.</summary>
    [Description("Bounds the scores of queries and keys to ± this, by tanh (Gemma 2: 50).")]
    [Range(0.0, 1e6, MinimumIsExclusive = true)]
    public double? SoftCap { get; init; }

    /// <summary>Whether self-attention multiplies queries by s·ln(keys they see), s learned for each head (arXiv 2501.19399).</summary>
    [Description("Whether queries are multiplied by s·ln(keys they see), s learned for each head, in attention of a sequence to itself.")]
    public bool ScalableSoftmax { get; init; }

    /// <summary>How queries of self-attention grow with their position; null for not at all.</summary>
    [Description("How queries grow with their position in attention of a sequence to itself (Llama 4).")]
    public TemperatureOptions? Temperature { get; init; }

    /// <summary>Whether queries, keys and values have biases; null for the model's choice.</summary>
    [Description("Whether queries, keys and values have biases; by default the model's bias. Qwen 2 has them only here.")]
    public bool? Bias { get; init; }

    /// <summary>Whether the output matrix has a bias; null for the model's choice.</summary>
    [Description("Whether the output matrix has a bias; by default the model's bias.")]
    public bool? OutputBias { get; init; }

    /// <summary>The cache of keys and values in decoding.</summary>
    [Description(
        "What decoding remembers: auto takes rolling where the pattern is a sliding window, else contiguous; " +
        "paged shares common beginnings.")]
    public AttentionCache Cache { get; init; } = AttentionCache.Auto;

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    internal string Type => Registered.Name(typeof(AttentionOptions), GetType());

    internal PatternOptions ResolvedPattern =>
        Pattern ?? throw new InvalidOperationException("The pattern is resolved by ModelOptions.Layer; these options are not a layer's.");

    internal abstract int HeadWidth(int dim);

    internal virtual int RotaryWidth(int dim) => HeadWidth(dim);

    internal virtual double ScoreScale(int dim) => Scale ?? 1 / Math.Sqrt(HeadWidth(dim));

    internal abstract IEnumerable<Problem> Against(int dim);

    internal abstract Projection BuildProjection(StackContext stack, NormBuilder? headNorm);

    /// <summary>What stands in for it in attention to an encoder.</summary>
    internal abstract HeadProjectionOptions ToEncoder(int dim);

    internal abstract CacheLayout CacheLayout(int dim);

    internal abstract PartCost Cost(ModelOptions model);
}

/// <summary>Attention of a sequence to itself or to an encoder's output (Vaswani et al. 2017, §3.2). Thread-safe.</summary>
internal sealed class AttentionLayer : Mixer
{
    private readonly Projection projection;
    private readonly MixedLinear output;
    private readonly ScalableSoftmax? scalableSoftmax;
    private readonly QueryTemperature? temperature;
    private readonly StackContext stack;
    private readonly AttentionOptions options;
    private readonly AttentionPattern pattern;
    private readonly bool cross;
    private readonly int headDim;
    private readonly LayerKernels kernels;
    private readonly FusedFlashKernel fusedFlash;

    public AttentionLayer(StackContext stack, AttentionOptions options, NormBuilder headNorm, bool cross)
        : base(nameof(AttentionLayer))
    {
        (this.stack, this.options, this.cross, headDim) = (stack, options, cross, options.HeadWidth(stack.Dim));
        pattern = stack.Pattern(options.ResolvedPattern);
        NormBuilder? norm = options.QueryKeyNorm ? headNorm : null;
        projection = cross ? options.ToEncoder(stack.Dim).BuildCrossProjection(stack, norm) : options.BuildProjection(stack, norm);
        scalableSoftmax = options.ScalableSoftmax && !cross ? new(options.Heads, pattern, stack.Options.ContextLength) : null;
        temperature = options.Temperature is { } steps && !cross ? new(steps, stack.Options.ContextLength) : null;
        output = stack.ResidualLinear(projection.OutputWidth, stack.Dim, options.OutputBias);
        kernels = new(options, headDim);
        fusedFlash = new(options, pattern, projection, headDim);
        RegisterComponents();
    }

    public override Tensor Mix(Tensor x, MixerContext context)
    {
        // One kernel from projection to output matrix, with the same result.
        if (fusedFlash.IsSupported(x, context))
            return output.Forward(fusedFlash.Attend(x, context, Scale(context), Dropout(context)), context.Attention);

        // Project, norm and rotate: (B, H|G|G, T|S|S, D).
        (Tensor query, Tensor key, Tensor value) = projection.Project(x, context);
        (query, key, value) = (Cast(query), Cast(key), Cast(value));
        PositionSpan queries = new(context.Offset, (int)x.size(1)), keys = cross ? new(0, (int)key.size(2)) : queries;

        RowPositions? rows = null;
        if (context.State is KeyValueCache cache) (key, value, keys) = cache.Append(key, value);
        else if (context.State is BatchCache batch)
        {
            (key, value, rows) = batch.Append(key, value, context.Attention);
            keys = new(0, (int)key.size(2));
        }

        Tensor heads = projection.Attend(
            query, key, value, context, (q, k, v) => Attend(q, k, v, queries, keys, rows, context)); // (B, H, T, D)
        Tensor rowsOfHeads = heads.transpose(1, 2).reshape(x.size(0), x.size(1), projection.OutputWidth); // (B, T, H·D)
        return output.Forward(rowsOfHeads, context.Attention); // (B, T, H·D) → (B, T, C)
    }

    public override LayerState NewState(int batch, int capacity, Device device)
    {
        if (options.ResolvedPattern.Prefix is null)
            throw new NotSupportedException(
                $"Attention of pattern '{options.ResolvedPattern.Type}' sees later positions and cannot decode token by token.");
        return CacheSelection.Create(options, options.CacheLayout(stack.Dim), batch, capacity, HeadType(device), device);
    }

    public LayerState NewCrossState(EncoderMemory memory)
    {
        using AttentionContext context = new() { PositionLimit = 0, Adapters = memory.Adapters };
        (Tensor key, Tensor value) = ((CrossProjection)projection).KeyValue(memory.Hidden, context);
        return new CrossState(Cast(key), Cast(value), memory.Documents?.Keys);
    }

    public override KernelChoice? Kernel(int length, Device device, bool biased)
    {
        using DisposeScope scope = NewDisposeScope();
        ScalarType type = HeadType(device);
        Tensor Heads(int count) => zeros(1, count, length, headDim, dtype: type, device: device, requires_grad: training);
        PositionSpan span = new(0, length);
        AttentionCall call = new(
            Heads(options.Heads), Heads(projection.KeyHeads), Heads(projection.KeyHeads), pattern, span, span,
            options.ScoreScale(stack.Dim), stack.Masks)
        {
            Dropout = new(training ? stack.Dropout : 0, Seed: 0, First: 0, Place: 0), // which weights are dropped makes no difference
            SoftCap = options.SoftCap,
            Bias = biased ? new((_, _) => zeros([1, options.Heads, 1, 1], dtype: type, device: device)) : null,
        };
        IAttentionKernel kernel = kernels.For(call);
        return new(kernel.Name, kernel is FlashKernel ? FlashKernel.Backend(call) : null);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) temperature?.Dispose();
        base.Dispose(disposing);
    }

    private Tensor Attend(
        Tensor query, Tensor key, Tensor value, PositionSpan queries, PositionSpan keys, RowPositions? rows, MixerContext context)
    {
        AttentionCall call = new(query, key, value, pattern, queries, keys, Scale(context), stack.Masks)
        {
            Dropout = Dropout(context),
            SoftCap = options.SoftCap,
            Bias = !cross && context.Position.AddsBias
                ? new((from, to) => context.Position.Bias(query, context.Attention, from, to, rows)!)
                {
                    SkipsPositions = rows is null && context.Attention.SkippingPositions is not null,
                }
                : null,
            Rows = rows,
            Documents = Documents(context),
            Sums = context.State as LinearState,
        };
        if (temperature is not null) call = call with { Query = temperature.Apply(call.Query, context.Attention) };
        if (scalableSoftmax is not null) call = call with { Query = scalableSoftmax.Apply(call, context.Attention) };
        IAttentionKernel kernel = kernels.For(call);
        context.Attention.Observer?.Observe(context.Layer, cross, kernel.Weights(call));
        return kernel.Attend(call);
    }

    private double Scale(MixerContext context) => options.ScoreScale(stack.Dim) * (cross ? 1 : context.Position.ScoreFactor);

    private DocumentIds? Documents(MixerContext context) =>
        !cross ? context.Attention.Documents : context.State is CrossState state ? state.Documents : context.Attention.Memory!.Documents;

    private CounterDropout Dropout(MixerContext context) => training && stack.Dropout > 0
        ? context.Attention.Dropout(stack.Dropout, context.Layer, cross ? DropoutPlace.CrossWeights : DropoutPlace.Weights)
        : default;

    // libtorch's bfloat16 attention on CPUs is several times slower than its float32 one, so there only products are bfloat16.
    private ScalarType HeadType(Device device) => device.type == DeviceType.CPU ? ScalarType.Float32 : stack.ComputeType;

    private Tensor Cast(Tensor heads) => stack.ComputeType == ScalarType.Float32 ? heads : heads.to_type(HeadType(heads.device));
}

/// <summary>Makes queries, keys and values from the residual stream, and so decides what decoding caches.</summary>
internal abstract class Projection(string name) : nn.Module(name)
{
    public abstract int OutputWidth { get; }

    public abstract int KeyHeads { get; } // G, of a whole sequence

    /// <summary>Queries of new tokens (B, H, T, D), and key and value in <see cref="CacheLayout"/>'s shapes, normed and rotated.</summary>
    public abstract (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, MixerContext context);

    /// <summary>Runs a kernel, (B, H, T, D), (B, G, S, D), (B, G, S, D) → (B, H, T, D), after expanding shorter cached forms; cached
    /// keys, those with a <see cref="MixerContext.State"/>, may have a cheaper form.</summary>
    public virtual Tensor Attend(
        Tensor query, Tensor key, Tensor value, MixerContext context, Func<Tensor, Tensor, Tensor, Tensor> kernel) =>
        kernel(query, key, value);

    /// <summary>Whether <see cref="ProjectFused"/> gives all that <see cref="Project"/> does but the rotation.</summary>
    public virtual bool CanFuse => false;

    /// <summary>[queries | keys | values], unrotated, (B, T, C) → (B, T, H + 2·G, D); <paramref name="rounded"/> allows bfloat16.</summary>
    public virtual Tensor ProjectFused(Tensor x, bool rounded, AttentionContext context) => throw new NotSupportedException();
}
