using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>A decoder: each token is predicted from those before it (GPT, Llama).</summary>
public sealed record DecoderOptions : ModelOptions
{
    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in base.Validate()) yield return problem;
        if (!Attention.Pattern.IsCausal)
            yield return new("attention.pattern", $"type '{Attention.Pattern.Type}' lets a decoder see the token it has to predict; use 'causal'");
    }

    internal override ModelCost Cost(int vocabularySize) => DecoderCost.Of(this, vocabularySize);

    private protected override LanguageModel Create(int vocabularySize, ScalarType computeType) =>
        new Decoder(this, vocabularySize, computeType);
}
