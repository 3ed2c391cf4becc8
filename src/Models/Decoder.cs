using System.ComponentModel;
using Trainer.Configuration;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Patches;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A decoder, which predicts each token from those before it (GPT, Llama).</summary>
public sealed record DecoderOptions : ModelOptions
{
    /// <summary>What is read in place of tokens; null for tokens.</summary>
    [Description("Patches of numbers that are read in place of tokens: of pictures or of time series; without it the model reads tokens.")]
    public PatchOptions? Input { get; init; }

    /// <inheritdoc/>
    public override PatchOptions? PatchInput() => Input;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate() => [.. base.Validate(), .. Input?.Against(this) ?? []];

    internal override bool HasEncoder => false;

    internal override bool IsCausal => true;

    internal override IReadOnlyList<StackOptions> Stacks => [new(StackOptions.Decoder, LayersOf(Layers))];

    /// <summary>The longest of all layers', as later layers know what earlier ones have seen.</summary>
    public override int PrefixLength() =>
        Stacks[0].Layers.Where(layer => layer.Mixer.Attends).Select(layer => layer.Attention.ResolvedPattern.Prefix ?? 1).Append(1).Max();

    internal override string? Refuses(PatternOptions pattern) =>
        pattern.Prefix is not { } prefix
            ? $"type '{pattern.Type}' lets a decoder see the token it has to predict; {pattern.CausalAdvice}"
        : prefix > ContextLength
            ? $"prefixLength ({prefix}) is more than contextLength ({ContextLength}), so that no token is left to predict; " +
                $"use at most {ContextLength}"
        : null;

    private protected override SequenceModel Create(int outputs, ScalarType computeType) =>
        Input is null ? new Decoder(this, outputs, computeType) : new PatchModel(this, Input, outputs, computeType);
}

internal sealed class Decoder : DecodingModel
{
    private readonly BlockStack stack;

    public Decoder(DecoderOptions options, int vocabularySize, ScalarType computeType)
        : base(nameof(Decoder), options, vocabularySize, computeType)
    {
        stack = new(options.Stacks[0], new(options, vocabularySize, computeType, causal: true));
        RegisterChildren(stack);
        AddHead();
    }

    protected override BlockStack DecoderStack => stack;

    private protected override IReadOnlyList<BlockStack> Stacks => [stack];

    public override DecodingState NewDecodingState(
        int batch, int capacity, ModelInput? source = null, string? adapter = null) => source is null
        ? stack.NewState(batch, capacity, Device, memory: null).Adapted(Slot(adapter))
        : throw new ArgumentException("A decoder alone reads no source.", nameof(source));

    private protected override Tensor Run(ModelInput input, AuxiliaryLosses? auxiliary, Func<string, IAttentionObserver>? observe)
    {
        using AttentionContext context = AttentionContext.Over(input, auxiliary, observe?.Invoke(StackOptions.Decoder));
        return stack.Run(Embed(input.Tokens), context);
    }
}
