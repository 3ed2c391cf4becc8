using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Positions;

/// <summary>What positions do to whole models.</summary>
public class PositionModelTests
{
    [Theory]
    [InlineData("alibi")]
    [InlineData("t5")]
    [InlineData("none")]
    [InlineData("dynamic-ntk")]
    public void Lengths_never_trained_on_are_computed_and_decoded_alike(string position)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Variant("grouped-query", position));
        model.eval();
        Tensor tokens = Models.Tokens(1, 80);
        Tensor expected = model.forward(tokens);
        Assert.True(expected.isfinite().all().item<bool>());
        TensorAssert.Close(expected, Decoding.Run(model, tokens, [60, 1, 1, 13, 5]), 5e-5);
    }

    [Fact]
    public void Dynamic_scaling_leaves_sequences_of_the_original_length_alone()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel plain = Models.Build(Models.Variant("multi-head", "rotary"));
        using LanguageModel dynamic = Models.Build(Models.Variant("multi-head", "dynamic-ntk"));
        Tensor longer = Models.Tokens(1, 8), original = longer.narrow(1, 0, 4);
        TensorAssert.Same(plain.forward(original), dynamic.forward(original));
        Assert.False(plain.forward(longer).Equals(dynamic.forward(longer)));
        TensorAssert.Same(plain.forward(original), dynamic.forward(original));
    }

    [Fact]
    public void Decoding_under_dynamic_scaling_is_that_of_the_room_it_was_given()
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Models.Variant("multi-head", "dynamic-ntk");
        // Room for 16 positions, four times the original length: NTK with that factor, from the first token on.
        DecoderOptions fourfold =
            options with { ContextLength = 16, Position = new RotaryOptions { Scaling = new NtkScaling { Factor = 4 } } };
        using LanguageModel dynamic = Models.Build(options), expected = Models.Build(fourfold);
        Tensor tokens = Models.Tokens(1, 6);
        using DecodingState state = dynamic.NewDecodingState(1, 16);
        Tensor actual = cat([dynamic.forward(tokens.narrow(1, 0, 2), state), dynamic.forward(tokens.narrow(1, 2, 4), state)], 1);
        TensorAssert.Close(expected.forward(tokens), actual, 2e-5);
    }

    [Fact]
    public void An_encoder_tells_later_keys_from_earlier_ones()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Encoder with { Position = new T5BiasOptions { Buckets = 8, MaxDistance = 6 } });
        Tensor tokens = Models.Tokens(2, 8), changed = Models.Changed(tokens, 5, 3);
        Tensor Earlier(Tensor of) => model.forward(of).narrow(1, 0, 5);
        Assert.False(Earlier(tokens).Equals(Earlier(changed)));
        // The second half of the buckets is for later keys: with these far below, nothing of the future is seen.
        using (no_grad()) model.named_parameters().Single(entry => entry.name == "position.weight").parameter.narrow(0, 4, 4).fill_(-1e4);
        TensorAssert.Same(Earlier(tokens), Earlier(changed));
    }

    [Theory]
    [InlineData("alibi", 0)]
    [InlineData("t5", 2)]
    public void Both_stacks_of_an_encoder_decoder_have_their_own_bias(string position, int weights)
    {
        using DisposeScope scope = NewDisposeScope();
        EncoderDecoderOptions options = Models.EncoderDecoder with { Position = Models.Positions[position] };
        using LanguageModel model = Models.Build(options);
        model.eval();
        Tensor[] learned = [.. model.named_parameters().Where(entry => entry.name.EndsWith("position.weight", StringComparison.Ordinal))
            .Select(entry => entry.parameter)];
        Assert.Equal(weights, learned.Length);
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), ModelCost.Of(options, Models.Vocabulary).Parameters);
        ModelInput source = Models.Tokens(2, 5, seed: 3);
        Tensor tokens = Models.Tokens(2, 6);
        Tensor expected = model.forward(new ModelInput(tokens) { Source = source });
        TensorAssert.Close(expected, Decoding.Run(model, tokens, [2, 1, 3], source), 2e-5);
        model.LossSum(new ModelInput(tokens) { Source = source }, tokens).backward();
        Assert.All(learned, weight => TensorAssert.Apart(zeros_like(weight), weight.grad!, 0));
    }

    [Theory]
    [InlineData("alibi")]
    [InlineData("t5")]
    public void A_bias_follows_positions_that_skip(string position)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Variant("grouped-query", position));
        Tensor tokens = Models.Tokens(2, 6);
        ModelInput At(long[] places, int limit) =>
            new(tokens) { Positions = tensor(places).unsqueeze(0).expand(2, -1).contiguous(), PositionLimit = limit };
        Tensor expected = model.forward(tokens);
        TensorAssert.Close(expected, model.forward(At([40, 41, 42, 43, 44, 45], 46)), 2e-5);
        Tensor skipped = model.forward(At([0, 1, 2, 5, 6, 7], 8));
        TensorAssert.Close(expected.narrow(1, 0, 3), skipped.narrow(1, 0, 3), 2e-5);
        TensorAssert.Apart(expected.narrow(1, 3, 3), skipped.narrow(1, 3, 3), 1e-3);
        // What stands at the skipped places is in no document of the others: a row with holes is the same as a row that skips.
        Tensor holes = cat([tokens.narrow(1, 0, 3), tokens.narrow(1, 0, 2), tokens.narrow(1, 3, 3)], 1);
        Tensor documents = tensor([0L, 0, 0, 1, 1, 0, 0, 0]).unsqueeze(0).expand(2, -1).contiguous();
        Tensor filled = model.forward(new ModelInput(holes) { Documents = documents });
        TensorAssert.Close(skipped.narrow(1, 3, 3), filled.narrow(1, 5, 3), 2e-5);
    }

    [Theory]
    [InlineData("alibi", AttentionKernel.Auto)]
    [InlineData("alibi", AttentionKernel.BlockSparse)]
    [InlineData("t5", AttentionKernel.Auto)]
    [InlineData("t5", AttentionKernel.BlockSparse)]
    public void A_bias_follows_positions_of_long_rows_that_skip_or_restart(string position, AttentionKernel kernel)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel reference = Models.Build(Models.Variant("grouped-query", position, AttentionKernel.Reference));
        using LanguageModel model = Models.Build(Models.Variant("grouped-query", position, kernel));
        Tensor columns = arange(0, 128, ScalarType.Int64);
        ModelInput input = new(Models.Tokens(2, 128))
        {
            Positions = stack([columns.mul(3), columns.remainder(50)]),
            PositionLimit = 3 * 128,
        };
        TensorAssert.Close(reference.forward(input), model.forward(input), 2e-5);
    }

    [Fact]
    public void Layers_with_heads_of_another_width_share_the_table_of_a_bias()
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Models.Variant("grouped-query", "t5");
        GroupedQueryOptions wide = new() { Heads = 4, KeyValueHeads = 2, HeadDim = 8 };
        using LanguageModel expected = Models.Build(options with { Attention = wide });
        using LanguageModel actual = Models.Build(options with { LayerPattern = [new() { Attention = wide }] });
        Tensor tokens = Models.Tokens(1, 8);
        TensorAssert.Same(expected.forward(tokens), actual.forward(tokens));
    }

    [Fact]
    public void A_layer_without_positions_gets_no_bias()
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions alibi = Models.Variant("multi-head", "alibi"), none = Models.Variant("multi-head", "none");
        using LanguageModel expected = Models.Build(none);
        using LanguageModel actual = Models.Build(alibi with { LayerPattern = [new() { Position = new NoPositionOptions() }] });
        Tensor tokens = Models.Tokens(1, 8);
        TensorAssert.Close(expected.forward(tokens), actual.forward(tokens), 2e-5);
        using LanguageModel mixed = Models.Build(none with { LayerPattern = [new(), new() { Position = new AlibiOptions() }] });
        TensorAssert.Apart(expected.forward(tokens), mixed.forward(tokens), 1e-2);
    }
}
