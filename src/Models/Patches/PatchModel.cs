// Shapes: B batch, N patches, T positions, C model dimension, K classes, L values read, F values forecast, M forecasts of a row: 1, or in
// a decoder N.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models.Patches;

/// <summary>An encoder or decoder of patches with one prediction for each row: logits of classes (B, K), or a forecast (B, F).</summary>
/// <remarks>Reads <see cref="ModelInput.Values"/>, (B, numbers), float32. Forecasts are in the units of what is read. A decoder of series
/// learns at every patch what follows it, and its loss is the mean over patches.</remarks>
public sealed class PatchModel : SequenceModel
{
    private readonly InstanceNorm? instanceNorm;
    private readonly PatchEmbedding embedding;
    private readonly BlockStack stack;
    private readonly LanguageHead head;
    private readonly string role;
    private readonly bool causal;

    internal PatchModel(ModelOptions options, PatchOptions input, int outputs, ScalarType computeType)
        : base(nameof(PatchModel), options, outputs, computeType)
    {
        (Input, causal, role) = (input, options.IsCausal, options.Stacks[0].Role);
        instanceNorm = Input is SeriesPatchOptions { InstanceNorm: true } series ? new(series, causal) : null;
        if (instanceNorm is not null) register_module(nameof(instanceNorm), instanceNorm);
        embedding = new(Input, options, computeType);
        register_module(nameof(embedding), embedding);
        stack = new(options.Stacks[0], new(options, outputs, computeType, causal));
        RegisterChildren(stack);
        head = new(options with { Dim = Input.HeadWidth(options.Dim, causal), TieEmbeddings = false }, outputs, computeType);
        register_module(nameof(head), head);
    }

    /// <summary>What the model reads.</summary>
    public PatchOptions Input { get; }

    /// <inheritdoc/>
    public override Device Device => embedding.Device;

    private protected override IReadOnlyList<BlockStack> Stacks => [stack];

    /// <summary>Logits of classes, (B, K), or a forecast of what follows the last value, (B, F); float32.</summary>
    public override Tensor forward(ModelInput input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor read = Pooled(Run(input));
        Tensor made = Input is SeriesPatchOptions
            ? Forecasts(read.narrow(1, -1, 1), input).squeeze(1) // (B, 1, F) → (B, F)
            : head.Logits(read, null);
        return made.MoveToOuterDisposeScope();
    }

    /// <summary>The forecasts of a model of series, (B, M, F), float32: of a decoder at each patch what follows that.</summary>
    public Tensor Forecasts(ModelInput input)
    {
        if (Input is not SeriesPatchOptions) throw new InvalidOperationException("The model reads pictures.");
        using DisposeScope scope = NewDisposeScope();
        return Forecasts(Pooled(Run(input)), input).MoveToOuterDisposeScope();
    }

    /// <summary>Summed cross entropy in nats of classes (B), int64, or the summed error of values (B, F), float32, that follow a row; of a
    /// decoder's forecasts the mean over patches.</summary>
    public override LossTerms Losses(
        ModelInput input, Tensor targets, double labelSmoothing = 0, Func<Tensor, Tensor, Tensor>? further = null)
    {
        using DisposeScope scope = NewDisposeScope();
        using AuxiliaryLosses? auxiliary = training ? new() : null;
        Tensor read = Pooled(Run(input, auxiliary));
        Tensor loss = Input is SeriesPatchOptions series
            ? ErrorSum(Forecasts(read, input).sub(Following(series, input, targets)), series.Error)
            : head.LossSum(read, null, targets.reshape(-1), labelSmoothing);
        if (input.Observer is { } observer) loss = observer.Observe(new("", null, nameof(head), LayerKind.Head), loss);
        Tensor? extra = auxiliary?.Sum()?.mul(targets.numel());
        Tensor? other = further?.Invoke(read, targets);
        return new(loss.MoveToOuterDisposeScope(), extra?.MoveToOuterDisposeScope()) { Further = other?.MoveToOuterDisposeScope() };
    }

    private protected override Tensor Run(
        ModelInput input, AuxiliaryLosses? auxiliary = null, Func<string, IAttentionObserver>? observe = null)
    {
        Tensor values = input.Values ?? throw new ArgumentException("A model of patches reads values, not tokens.", nameof(input));
        Tensor patches = PatchEmbedding.Cut(Input, values, causal); // (B, numbers) → (B, N, P)
        if (instanceNorm is not null) patches = instanceNorm.Of(input).Apply(patches);
        using AttentionContext context =
            AttentionContext.OverPatches(input, Options.ContextLength, auxiliary, observe?.Invoke(role));
        return stack.Run(embedding.Rows(patches), context); // (B, T, C)
    }

    // What the head reads of each row: the class token, the last patch or the mean of all; of series each patch, or all side by side.
    private Tensor Pooled(Tensor hidden) => Input switch
    {
        ImagePatchOptions { Pooling: PatchPooling.Class } => hidden.select(1, 0), // (B, T, C) → (B, C)
        ImagePatchOptions { Pooling: PatchPooling.Last } => hidden.select(1, -1), // (B, N, C) → (B, C)
        ImagePatchOptions => hidden.mean([1L]), // (B, N, C) → (B, C)
        _ when causal => hidden, // (B, N, C)
        _ => hidden.flatten(1).unsqueeze(1), // (B, N, C) → (B, 1, N·C)
    };

    // Of all patches, or of the last.
    private Tensor Forecasts(Tensor read, ModelInput input) // (B, M, width) → (B, M, F)
    {
        Tensor made = head.Logits(read, null);
        if (instanceNorm is null) return made;
        InstanceNorm.InstanceScale scale = instanceNorm.Of(input);
        return (scale.Mean.size(1) > made.size(1) ? scale.Last() : scale).Undo(made);
    }

    // The values behind each patch, among those that are read, and behind these.
    private Tensor Following(SeriesPatchOptions series, ModelInput input, Tensor targets) => causal // (B, F) → (B, M, F)
        ? cat([input.Values!.narrow(1, series.Patch, series.Length - series.Patch), targets], 1).unfold(1, series.Horizon, series.Stride)
        : targets.unsqueeze(1);

    private static Tensor ErrorSum(Tensor difference, ForecastError error) => // (B, M, F)
        (error == ForecastError.Squared ? difference.square() : difference.abs()).sum().div(difference.size(1));
}
