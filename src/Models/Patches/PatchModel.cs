// Shapes: B batch, N patches, T positions, C model dimension, K classes, L values read, F values forecast.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models.Patches;

/// <summary>An encoder of patches with one prediction for each row: logits of classes (B, K), or a forecast (B, F).</summary>
/// <remarks>Reads <see cref="ModelInput.Values"/>, (B, numbers), float32. Forecasts are in the units of what is read.</remarks>
public sealed class PatchModel : SequenceModel
{
    // Added to the variance of a stretch that is constant (RevIN's own figure).
    private const double Epsilon = 1e-5;

    private readonly PatchEmbedding embedding;
    private readonly BlockStack stack;
    private readonly LanguageHead head;

    internal PatchModel(EncoderOptions options, int outputs, ScalarType computeType)
        : base(nameof(PatchModel), options, outputs, computeType)
    {
        Input = options.Input!;
        embedding = new(Input, options, computeType);
        register_module(nameof(embedding), embedding);
        stack = new(options.Stacks[0], new(options, outputs, computeType, causal: false));
        RegisterChildren(stack);
        head = new(options with { Dim = Input.HeadWidth(options.Dim), TieEmbeddings = false }, outputs, computeType);
        register_module(nameof(head), head);
    }

    /// <summary>What the model reads.</summary>
    public PatchOptions Input { get; }

    /// <inheritdoc/>
    public override Device Device => embedding.Device;

    private protected override IReadOnlyList<BlockStack> Stacks => [stack];

    /// <summary>Logits of classes, (B, K), or a forecast, (B, F); float32.</summary>
    public override Tensor forward(ModelInput input)
    {
        using DisposeScope scope = NewDisposeScope();
        return Predicted(Run(input), input).MoveToOuterDisposeScope();
    }

    /// <summary>Summed cross entropy in nats of classes (B), int64, or the summed error of values (B, F), float32.</summary>
    public override LossTerms Losses(
        ModelInput input, Tensor targets, double labelSmoothing = 0, Func<Tensor, Tensor, Tensor>? further = null)
    {
        using DisposeScope scope = NewDisposeScope();
        using AuxiliaryLosses? auxiliary = training ? new() : null;
        Tensor hidden = Run(input, auxiliary);
        Tensor loss = Input is SeriesPatchOptions series
            ? ErrorSum(Predicted(hidden, input).sub(targets), series.Error)
            : head.LossSum(Pooled(hidden), null, targets.reshape(-1), labelSmoothing);
        if (input.Observer is { } observer) loss = observer.Observe(new("", null, nameof(head), LayerKind.Head), loss);
        Tensor? extra = auxiliary?.Sum()?.mul(targets.numel());
        Tensor? other = further?.Invoke(Pooled(hidden), targets);
        return new(loss.MoveToOuterDisposeScope(), extra?.MoveToOuterDisposeScope()) { Further = other?.MoveToOuterDisposeScope() };
    }

    private protected override Tensor Run(
        ModelInput input, AuxiliaryLosses? auxiliary = null, Func<string, IAttentionObserver>? observe = null)
    {
        Tensor values = input.Values ?? throw new ArgumentException("A model of patches reads values, not tokens.", nameof(input));
        if (Input is SeriesPatchOptions { InstanceNorm: true })
        {
            (Tensor mean, Tensor deviation) = Moments(values);
            values = values.sub(mean).div(deviation); // (B, L)
        }
        using AttentionContext context =
            AttentionContext.OverPatches(input, Input.Positions(), auxiliary, observe?.Invoke(StackOptions.Encoder));
        return stack.Run(embedding.Rows(values), context); // (B, T, C)
    }

    // What the head reads of each row: the class token, the mean of all patches, or all patches side by side.
    private Tensor Pooled(Tensor hidden) => Input switch
    {
        ImagePatchOptions { Pooling: PatchPooling.Class } => hidden.select(1, 0), // (B, T, C) → (B, C)
        ImagePatchOptions => hidden.mean([1L]), // (B, N, C) → (B, C)
        _ => hidden.flatten(1), // (B, N, C) → (B, N·C)
    };

    private Tensor Predicted(Tensor hidden, ModelInput input)
    {
        Tensor made = head.Logits(Pooled(hidden), null); // (B, K) or (B, F)
        if (Input is not SeriesPatchOptions { InstanceNorm: true }) return made;
        (Tensor mean, Tensor deviation) = Moments(input.Values!);
        return made.mul(deviation).add(mean);
    }

    private static (Tensor Mean, Tensor Deviation) Moments(Tensor values) => // (B, L) → (B, 1) each
        (values.mean([1L], keepdim: true), values.var(1, unbiased: false, keepdim: true).add(Epsilon).sqrt());

    private static Tensor ErrorSum(Tensor difference, ForecastError error) =>
        error == ForecastError.Squared ? difference.square().sum() : difference.abs().sum();
}
