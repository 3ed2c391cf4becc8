// Shapes: B batch, S positions of the source, C model dimension.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>An encoder for the source and a decoder for the target, every block of which attends to the encoder's output.</summary>
internal sealed class EncoderDecoder : DecodingModel
{
    private readonly BlockStack encoder;
    private readonly BlockStack decoder;

    public EncoderDecoder(EncoderDecoderOptions options, int vocabularySize, ScalarType computeType)
        : base(nameof(EncoderDecoder), options, vocabularySize, computeType)
    {
        encoder = new(options.Stacks[0], new(options, computeType, causal: false));
        decoder = new(options.Stacks[1], new(options, computeType, causal: true));
        RegisterComponents();
        AddHead();
    }

    protected override BlockStack Generating => decoder;

    protected override IReadOnlyList<BlockStack> Stacks => [encoder, decoder];

    public override DecodingState NewDecodingState(int batch, int capacity, ModelInput? source = null)
    {
        RequireSource(source);
        if (source!.Tokens.size(0) != batch)
            throw new ArgumentException($"The source holds {source.Tokens.size(0)} sequences, but {batch} are to be decoded.", nameof(source));
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        using EncoderMemory memory = Encode(source, null, null);
        return decoder.NewState(batch, capacity, Device, memory);
    }

    protected override Tensor Run(ModelInput input, AuxiliaryLosses? auxiliary, Func<string, IAttentionObserver>? observe)
    {
        RequireSource(input.Source);
        EncoderMemory memory = Encode(input.Source! with { Dropping = input.Dropping?.Sibling }, auxiliary, observe); // the pass owns it
        using ForwardPass pass = ForwardPass.Over(input, auxiliary, observe?.Invoke(StackOptions.Decoder), memory);
        return decoder.Run(Embed(input.Tokens), pass);
    }

    private EncoderMemory Encode(ModelInput source, AuxiliaryLosses? auxiliary, Func<string, IAttentionObserver>? observe)
    {
        using ForwardPass pass = ForwardPass.Over(source, auxiliary, observe?.Invoke(StackOptions.Encoder));
        Tensor hidden = encoder.Run(Embed(source.Tokens), pass); // (B, S, C)
        return EncoderMemory.Of(hidden, source.Documents);
    }

    private static void RequireSource(ModelInput? source)
    {
        if (source is null) throw new ArgumentException("An encoder-decoder needs a source.", nameof(source));
    }
}
