using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A decoder: each token is predicted from those before it (GPT, Llama).</summary>
public sealed record DecoderOptions : ModelOptions
{
    internal override bool HasEncoder => false;

    internal override bool IsCausal => true;

    internal override IReadOnlyList<StackOptions> Stacks => [new(StackOptions.Decoder, LayersOf(Layers))];

    /// <inheritdoc/>
    /// <remarks>The longest of its layers': what one layer has seen, those above it know.</remarks>
    public override int PrefixLength() =>
        Stacks[0].Layers.Where(layer => layer.Mixer.Attends).Select(layer => layer.Attention.ResolvedPattern.Prefix ?? 1).Append(1).Max();

    internal override string? Refuses(PatternOptions pattern) =>
        pattern.Prefix is not { } prefix
            ? $"type '{pattern.Type}' lets a decoder see the token it has to predict; {pattern.CausalInstead}"
        : prefix > ContextLength
            ? $"prefixLength ({prefix}) is more than contextLength ({ContextLength}), so that no token is left to predict; use at most {ContextLength}"
        : null;

    private protected override LanguageModel Create(int vocabularySize, ScalarType computeType) => new Decoder(this, vocabularySize, computeType);
}
