using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>An encoder: embeddings, blocks that see the whole text, and a head that guesses hidden tokens.</summary>
internal sealed class Encoder : TransformerModel
{
    private readonly BlockStack stack;

    public Encoder(EncoderOptions options, int vocabularySize, ScalarType computeType)
        : base(nameof(Encoder), options, vocabularySize, computeType)
    {
        stack = new(options.Stacks[0], new(options, computeType, causal: false));
        Adopt(stack);
        AddHead();
    }

    protected override IReadOnlyList<BlockStack> Stacks => [stack];

    public override bool Generates => false;

    public override Tensor forward(Tensor tokens, DecodingState state) => throw Refusal();

    public override Tensor NextLogits(Tensor tokens, DecodingState state) => throw Refusal();

    public override DecodingState NewDecodingState(int batch, int capacity, ModelInput? source = null) => throw Refusal();

    protected override Tensor Run(ModelInput input, AuxiliaryLosses? auxiliary, Func<string, IAttentionObserver>? observe)
    {
        using ForwardPass pass = ForwardPass.Over(input, auxiliary, observe?.Invoke(StackOptions.Encoder));
        return stack.Run(Embed(input.Tokens), pass);
    }

    private static UserException Refusal() =>
        new("an encoder reads whole texts and cannot continue one; use 'score' or 'embed', or train a model of architecture 'decoder' or 'encoder-decoder'");
}
