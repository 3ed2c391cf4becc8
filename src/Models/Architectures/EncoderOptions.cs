using System.ComponentModel;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>An encoder: every token sees the whole text, and hidden tokens are guessed (BERT, Devlin et al. 2018, arXiv 1810.04805).</summary>
public sealed record EncoderOptions : ModelOptions
{
    /// <summary>Whether the head has a layer of its own before the matrix of tokens: linear, GELU, norm (BERT).</summary>
    [Description("Whether the output head has a layer of its own before the matrix of tokens: linear, GELU, norm (BERT).")]
    public bool HeadTransform { get; init; }

    internal override bool HasEncoder => true;

    internal override bool IsCausal => false;

    internal override IReadOnlyList<StackOptions> Stacks => [new(StackOptions.Encoder, LayersOf(Layers))];

    internal override PartCost ExtraHeadCost => HeadTransform ? PartCost.Linear(Dim, Dim, Bias) + Norm.Cost(Dim, Bias) : default;

    internal override string? Refuses(PatternOptions pattern) => pattern.IsCausal
        ? $"type '{pattern.Type}' keeps an encoder from seeing what follows; {pattern.FullInstead}, or set model.architecture to 'decoder'"
        : null;

    private protected override LanguageModel Create(int vocabularySize, ScalarType computeType) => new Encoder(this, vocabularySize, computeType);
}
