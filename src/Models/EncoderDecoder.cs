// Shapes: B batch, S positions of the source, C model dimension.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Adapters;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>An encoder-decoder (Vaswani et al. 2017, T5, BART); inherited options are the decoder's, token embeddings shared.</summary>
public sealed record EncoderDecoderOptions : ModelOptions
{
    /// <summary>Number of the encoder's blocks; null for as many as the decoder has.</summary>
    [Description("Number of blocks of the encoder; by default as many as the decoder's layers.")]
    [Range(1, 1024)]
    public int? EncoderLayers { get; init; }

    /// <summary>The encoder's pattern.</summary>
    [Description("Which positions of the source each one may see.")]
    public PatternOptions EncoderPattern { get; init; } = new FullOptions();

    /// <summary>The encoder's attention, its pattern being <see cref="EncoderPattern"/>; null for the decoder's.</summary>
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
            yield return new(
                "parallelResidual",
                "is true, but a decoder with an encoder has three branches in a block, each of which needs the one before; " +
                "set it to false");
        if (EncoderPattern.IsCausal)
            yield return new(
                "encoderPattern", $"type '{EncoderPattern.Type}' keeps the encoder from seeing what follows; {EncoderPattern.FullAdvice}");
        AttentionOptions own = (EncoderAttention ?? Attention) with { Pattern = EncoderPattern };
        bool isPossible = Dim > 0 && own.Heads > 0 && !own.Against(Dim).Any();
        if (isPossible && !KernelProblems(own with { Pattern = new FullOptions() }).Any()) // which are said of attention
            foreach (Problem problem in KernelProblems(own)) yield return problem with { Path = "encoderPattern" };
        if (EncoderAttention?.Pattern is { } pattern)
            yield return new(
                "encoderAttention.pattern", $"is '{pattern.Type}', but the pattern of the encoder is encoderPattern; leave it out here");
        if (EncoderAttention is { } encoder && encoder.Heads != Attention.Heads)
            yield return new(
                "encoderAttention.heads",
                $"heads ({encoder.Heads}) must be those of model.attention ({Attention.Heads}); only the rest may differ");
    }

    private IEnumerable<Problem> KernelProblems(AttentionOptions options) => KernelSelection.Problems(options, options.HeadWidth(Dim));

    internal override string? Refuses(PatternOptions pattern) => pattern.IsCausal
        ? null
        : $"type '{pattern.Type}' lets the decoder see the token it has to predict; " +
            $"{pattern.CausalAdvice} (the encoder's is encoderPattern)";

    private protected override SequenceModel Create(int vocabularySize, ScalarType computeType) =>
        new EncoderDecoder(this, vocabularySize, computeType);

    private LayerOptions EncoderLayer =>
        new((EncoderAttention ?? Attention) with { Pattern = EncoderPattern }, null, Position, FeedForward, Norm);
}

internal sealed class EncoderDecoder : DecodingModel
{
    private readonly BlockStack encoder;
    private readonly BlockStack decoder;

    public EncoderDecoder(EncoderDecoderOptions options, int vocabularySize, ScalarType computeType)
        : base(nameof(EncoderDecoder), options, vocabularySize, computeType)
    {
        encoder = new(options.Stacks[0], new(options, vocabularySize, computeType, causal: false));
        decoder = new(options.Stacks[1], new(options, vocabularySize, computeType, causal: true));
        RegisterComponents();
        AddHead();
    }

    protected override BlockStack DecoderStack => decoder;

    private protected override IReadOnlyList<BlockStack> Stacks => [encoder, decoder];

    public override DecodingState NewDecodingState(int batch, int capacity, ModelInput? source = null, string? adapter = null)
    {
        RequireSource(source);
        if (source!.Tokens.size(0) != batch)
            throw new ArgumentException(
                $"The source holds {source.Tokens.size(0)} sequences, but {batch} are to be decoded.", nameof(source));
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        int slot = Slot(adapter);
        using AdapterRows? rows = AdapterRows.Of([.. Enumerable.Repeat(slot, batch)], Device);
        using EncoderMemory memory = Encode(source with { Adapters = rows }, null, null);
        return decoder.NewState(batch, capacity, Device, memory).Adapted(slot);
    }

    private protected override Tensor Run(ModelInput input, AuxiliaryLosses? auxiliary, Func<string, IAttentionObserver>? observe)
    {
        RequireSource(input.Source);
        ModelInput source = input.Source! with
        {
            Dropping = input.Dropping?.Sibling,
            Differentiated = input.Differentiated,
            Observer = input.Observer,
            Repeats = input.Repeats,
            Adapters = input.Adapters,
        };
        EncoderMemory memory = Encode(source, auxiliary, observe); // the pass owns it
        using AttentionContext context = AttentionContext.Over(input, auxiliary, observe?.Invoke(StackOptions.Decoder), memory,
            stack: "decoder.");
        return decoder.Run(Embed(input.Tokens), context);
    }

    private EncoderMemory Encode(ModelInput source, AuxiliaryLosses? auxiliary, Func<string, IAttentionObserver>? observe)
    {
        using AttentionContext context = AttentionContext.Over(source, auxiliary, observe?.Invoke(StackOptions.Encoder), stack: "encoder.");
        Tensor hidden = encoder.Run(Embed(source.Tokens), context); // (B, S, C)
        return EncoderMemory.Of(hidden, source.Documents) with { Adapters = source.Adapters };
    }

    private static void RequireSource(ModelInput? source)
    {
        if (source is null) throw new ArgumentException("An encoder-decoder needs a source.", nameof(source));
    }
}
