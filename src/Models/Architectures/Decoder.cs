using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A decoder: embeddings, blocks, a norm and the head.</summary>
internal sealed class Decoder : DecodingModel
{
    private readonly BlockStack stack;

    public Decoder(DecoderOptions options, int vocabularySize, ScalarType computeType)
        : base(nameof(Decoder), options, vocabularySize, computeType)
    {
        stack = new(options.Stacks[0], new(options, computeType, causal: true));
        Adopt(stack);
        AddHead();
    }

    protected override BlockStack Generating => stack;

    protected override IReadOnlyList<BlockStack> Stacks => [stack];

    public override DecodingState NewDecodingState(int batch, int capacity, ModelInput? source = null) => source is null
        ? stack.NewState(batch, capacity, Device, memory: null)
        : throw new ArgumentException("A decoder alone reads no source.", nameof(source));

    protected override Tensor Run(ModelInput input, AuxiliaryLosses? auxiliary, Func<string, IAttentionObserver>? observe)
    {
        using ForwardPass pass = ForwardPass.Over(input, auxiliary, observe?.Invoke(StackOptions.Decoder));
        return stack.Run(Embed(input.Tokens), pass);
    }
}
