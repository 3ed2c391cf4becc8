using System.ComponentModel;
using Trainer.Configuration;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Patches;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>An encoder, which predicts masked tokens from the whole text (BERT, Devlin et al. 2018, arXiv 1810.04805).</summary>
public sealed record EncoderOptions : ModelOptions
{
    /// <summary>Whether linear, GELU and norm precede the output matrix (BERT).</summary>
    [Description("Whether the output head has a layer of its own before the matrix of tokens: linear, GELU, norm (BERT).")]
    public bool HeadTransform { get; init; }

    /// <summary>What is read in place of tokens; null for tokens.</summary>
    [Description("Patches of numbers that are read in place of tokens: of pictures or of time series; without it the model reads tokens.")]
    public PatchOptions? Input { get; init; }

    /// <inheritdoc/>
    public override PatchOptions? PatchInput() => Input;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate() => [.. base.Validate(), .. Input?.Against(this) ?? []];

    internal override bool HasEncoder => true;

    internal override bool IsCausal => false;

    internal override IReadOnlyList<StackOptions> Stacks => [new(StackOptions.Encoder, LayersOf(Layers))];

    internal override PartCost ExtraHeadCost => HeadTransform ? PartCost.Linear(Dim, Dim, Bias) + Norm.Cost(Dim, Bias) : default;

    internal override string? Refuses(PatternOptions pattern) => pattern.IsCausal
        ? $"type '{pattern.Type}' keeps an encoder from seeing what follows; {pattern.FullAdvice}, or set model.architecture to 'decoder'"
        : null;

    private protected override SequenceModel Create(int outputs, ScalarType computeType) =>
        Input is null ? new Encoder(this, outputs, computeType) : new PatchModel(this, Input, outputs, computeType);
}

internal sealed class Encoder : TransformerModel
{
    private readonly BlockStack stack;

    public Encoder(EncoderOptions options, int vocabularySize, ScalarType computeType)
        : base(nameof(Encoder), options, vocabularySize, computeType)
    {
        stack = new(options.Stacks[0], new(options, vocabularySize, computeType, causal: false));
        RegisterChildren(stack);
        AddHead();
    }

    private protected override IReadOnlyList<BlockStack> Stacks => [stack];

    public override bool Generates => false;

    public override Tensor forward(Tensor tokens, DecodingState state) => throw Refusal();

    public override Tensor NextLogits(Tensor tokens, DecodingState state) => throw Refusal();

    public override DecodingState NewDecodingState(
        int batch, int capacity, ModelInput? source = null, string? adapter = null) => throw Refusal();

    private protected override Tensor Run(ModelInput input, AuxiliaryLosses? auxiliary, Func<string, IAttentionObserver>? observe)
    {
        using AttentionContext context = AttentionContext.Over(input, auxiliary, observe?.Invoke(StackOptions.Encoder));
        return stack.Run(Embed(input.Tokens), context);
    }

    private static UserException Refusal() =>
        new(
            "an encoder reads whole texts and cannot continue one; " +
            "use 'score' or 'embed', or train a model of architecture 'decoder' or 'encoder-decoder'");
}
