using Trainer.Transformers.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>A decoder: each token is predicted from those before it (GPT, Llama).</summary>
public sealed record DecoderOptions : ModelOptions
{
    internal override bool HasEncoder => false;

    internal override bool IsCausal => true;

    internal override IReadOnlyList<StackOptions> Stacks => [new(StackOptions.Decoder, LayersOf(Layers))];

    internal override string? Refuses(PatternOptions pattern) => pattern.IsCausal
        ? null
        : $"type '{pattern.Type}' lets a decoder see the token it has to predict; {pattern.CausalInstead}";

    private protected override LanguageModel Create(int vocabularySize, ScalarType computeType) => new Decoder(this, vocabularySize, computeType);
}
