using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>An encoder reads one text, a decoder that attends to it writes another (Vaswani et al. 2017, T5, BART).</summary>
/// <remarks>What <see cref="ModelOptions"/> says holds for the decoder; the encoder is alike but for its number of layers and its pattern.
/// Both share the token embeddings.</remarks>
public sealed record EncoderDecoderOptions : ModelOptions
{
    /// <summary>Number of blocks of the encoder; null for as many as the decoder has.</summary>
    [Description("Number of blocks of the encoder; by default as many as the decoder's layers.")]
    [Range(1, 1024)]
    public int? EncoderLayers { get; init; }

    /// <summary>Which positions of the source each one may see.</summary>
    [Description("Which positions of the source each one may see.")]
    public PatternOptions EncoderPattern { get; init; } = new FullOptions();

    /// <summary>Attention of the encoder; null for the decoder's. It may have other key-value heads, and its pattern is <see cref="EncoderPattern"/>.</summary>
    [Description("Attention of the encoder; by default the same as the decoder's. Its pattern is encoderPattern.")]
    public AttentionOptions? EncoderAttention { get; init; }

    internal override bool HasEncoder => true;

    internal override bool IsCausal => true;

    internal override AttentionOptions? OtherAttention => EncoderAttention;

    internal override IReadOnlyList<StackOptions> Stacks =>
    [
        new(StackOptions.Encoder, [.. Enumerable.Repeat(EncoderLayer, EncoderLayers ?? Layers)]),
        new(StackOptions.Decoder, LayersOf(Layers, Attention.ToEncoder(Dim) with { Pattern = new FullOptions() })),
    ];

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in base.Validate()) yield return problem;
        if (ParallelResidual)
            yield return new("parallelResidual", "is true, but a decoder with an encoder has three branches in a block, each of which needs the one before; set it to false");
        if (EncoderPattern.IsCausal)
            yield return new("encoderPattern", $"type '{EncoderPattern.Type}' keeps the encoder from seeing what follows; {EncoderPattern.FullInstead}");
        if (EncoderAttention?.Pattern is { } pattern)
            yield return new("encoderAttention.pattern", $"is '{pattern.Type}', but the pattern of the encoder is encoderPattern; leave it out here");
        if (EncoderAttention is { } encoder && encoder.Heads != Attention.Heads)
            yield return new("encoderAttention.heads", $"heads ({encoder.Heads}) must be those of model.attention ({Attention.Heads}); only the rest may differ");
    }

    internal override string? Refuses(PatternOptions pattern) => pattern.IsCausal
        ? null
        : $"type '{pattern.Type}' lets the decoder see the token it has to predict; {pattern.CausalInstead} (the encoder's is encoderPattern)";

    private protected override LanguageModel Create(int vocabularySize, ScalarType computeType) => new EncoderDecoder(this, vocabularySize, computeType);

    private LayerOptions EncoderLayer => new((EncoderAttention ?? Attention) with { Pattern = EncoderPattern }, null, Position, FeedForward, Norm);
}
