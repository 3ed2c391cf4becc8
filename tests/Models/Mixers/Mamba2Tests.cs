using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Mixers;

public class Mamba2Tests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(64)]
    public void The_chunk_changes_neither_logits_nor_gradients(int chunk)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel expected = Models.Build(Models.Llama with { Mixer = Models.Mamba2 });
        using LanguageModel actual = Models.Build(Models.Llama with { Mixer = Models.Mamba2 with { Chunk = chunk } });
        Copy(expected, actual);
        Tensor tokens = Models.Tokens(2, 8), targets = Models.Tokens(2, 8, seed: 5);
        TensorAssert.Close(expected.forward(tokens), actual.forward(tokens), 2e-5);
        Models.HaveCloseGradients(expected, actual, tokens, targets);
    }

    [Fact]
    public void A_later_token_leaves_earlier_logits_as_they_are()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Hybrid);
        Tensor tokens = Models.Tokens(2, 8), before = model.forward(tokens), after = model.forward(Models.Changed(tokens, 5));
        TensorAssert.Same(before.narrow(1, 0, 5), after.narrow(1, 0, 5));
        Assert.False(before.narrow(1, 5, 1).Equals(after.narrow(1, 5, 1)));
        // And an earlier one reaches the last.
        Assert.False(before.narrow(1, 7, 1).Equals(after.narrow(1, 7, 1)));
    }

    [Fact]
    public void What_is_remembered_does_not_grow_and_is_what_the_cost_says()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Hybrid);
        ModelCost cost = ModelCost.Of(Models.Hybrid, Models.Vocabulary);
        using DecodingState state = model.NewDecodingState(3, 20);
        long before = state.Bytes;
        Assert.Equal(3 * (cost.RecurrentStateBytes + 20 * cost.CacheBytesPerToken()), before);
        // Three layers: 8 heads of 4 numbers with 3 states each, and 3 positions of 44 channels.
        Assert.Equal(3 * (8 * 4 * 3 + 3 * 44) * 4, cost.RecurrentStateBytes);
        model.forward(Models.Tokens(3, 11), state);
        Assert.Equal(before, state.Bytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_cost_is_that_of_the_built_model(bool bias)
    {
        DecoderOptions options = Models.Hybrid with { Bias = bias };
        using LanguageModel model = options.Build(Models.Vocabulary);
        ModelCost cost = ModelCost.Of(options, Models.Vocabulary);
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), cost.Parameters);
        long ofStateSpaces = model.named_parameters()
            .Where(entry => entry.name.Contains(".mixer.") && !entry.name.StartsWith("blocks.3."))
            .Sum(entry => entry.parameter.numel());
        Assert.Equal(ofStateSpaces, Assert.Single(cost.Components, component => component.Name == "stateSpace").Parameters);
    }

    [Fact]
    public void A_recurrence_costs_no_more_with_every_key()
    {
        ModelCost recurrent = ModelCost.Of(Models.Llama with { Mixer = Models.Mamba2 }, Models.Vocabulary);
        Assert.Equal(recurrent.ForwardFlopsPerToken(8), recurrent.ForwardFlopsPerToken(800));
        Assert.Equal(0, recurrent.CacheBytesPerToken());
    }

    [Fact]
    public void Sequences_can_be_reordered_while_they_are_decoded()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Hybrid);
        Tensor tokens = Models.Tokens(2, 6);
        using DecodingState state = model.NewDecodingState(2, 8);
        model.forward(tokens, state);
        state.Reorder([1, 1, 0]);
        Tensor next = Models.Tokens(3, 2, seed: 9);
        Tensor actual = model.forward(next, state);
        Tensor whole = model.forward(cat([tokens.index_select(0, tensor([1L, 1L, 0L])), next], 1));
        TensorAssert.Close(whole.narrow(1, 6, 2), actual, 5e-5);
    }

    [Fact]
    public void Only_attention_layers_have_kernels()
    {
        using LanguageModel model = Models.Hybrid.Build(Models.Vocabulary);
        Assert.Equal([new(3, "flash", AttentionBackend.Flash)], model.Kernels());
    }

    [Fact]
    public void Documents_in_one_row_know_nothing_of_each_other()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Hybrid);
        // Boundaries inside a chunk of three and at its end, a document longer than a chunk, and padding.
        long[] ids = [0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 3, -1];
        Tensor documents = tensor(ids).view(1, 12), tokens = Models.Tokens(1, 12);
        Tensor before = model.forward(new ModelInput(tokens) { Documents = documents });
        foreach (long changed in ids.Distinct())
        {
            Tensor mine = documents.eq(changed);
            Tensor after = model.forward(
                new ModelInput(tokens.add(mine.to_type(ScalarType.Int64)).remainder(Models.Vocabulary)) { Documents = documents });
            Tensor same = before.sub(after).abs().sum(-1).eq(0); // (B, T)
            Assert.True(same.logical_or(mine).all().item<bool>(), $"document {changed} reaches others");
            Assert.False(same.logical_and(mine).any().item<bool>());
        }
    }

    [Fact]
    public void A_document_in_a_row_is_computed_as_if_alone()
    {
        using DisposeScope scope = NewDisposeScope();
        // Without positions, which a document would otherwise have to bring along.
        using LanguageModel model = Models.Build(Models.Hybrid with { Position = new NoPositionOptions() });
        Tensor tokens = Models.Tokens(2, 11), documents = tensor([0L, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7]).expand(2, 11);
        Tensor packed = model.forward(new ModelInput(tokens) { Documents = documents });
        Tensor alone = cat([model.forward(tokens.narrow(1, 0, 4)), model.forward(tokens.narrow(1, 4, 7))], 1);
        TensorAssert.Close(alone, packed, 5e-5);
    }

    [Fact]
    public void Decay_skip_and_step_bias_are_vectors_which_weight_decay_spares()
    {
        using LanguageModel model = Models.Hybrid.Build(Models.Vocabulary);
        foreach (string name in (string[])["logDecay", "skip", "stepBias", "norm", "convolution.bias"])
            Assert.Equal(1, model.named_parameters().Single(entry => entry.name == $"blocks.0.mixer.{name}").parameter.dim());
    }

    [Fact]
    public void Bfloat16_stays_near_float32_and_trains_float32_weights()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel full = Models.Hybrid.Build(Models.Vocabulary);
        using LanguageModel half = Models.Hybrid.Build(Models.Vocabulary, ScalarType.BFloat16);
        Copy(full, half);
        Tensor tokens = Models.Tokens(2, 8);
        Tensor exact = full.forward(tokens), rounded = half.forward(tokens);
        TensorAssert.Close(exact, rounded, 0.02);
        TensorAssert.Apart(exact, rounded, 0);
        half.LossSum(tokens, tokens).backward();
        Assert.All(half.parameters(), parameter => Assert.Equal(ScalarType.Float32, parameter.grad!.dtype));
    }

    [Fact]
    public void A_decoder_with_an_encoder_may_hold_it()
    {
        using DisposeScope scope = NewDisposeScope();
        EncoderDecoderOptions options = new()
        {
            Dim = 16,
            Layers = 2,
            ContextLength = 8,
            Attention = new MultiHeadOptions { Heads = 4 },
            LayerPattern = [new LayerGroupOptions { Mixer = Models.Mamba2 }, new LayerGroupOptions()],
        };
        using LanguageModel model = Models.Build(options);
        model.eval();
        Tensor source = Models.Tokens(2, 5), tokens = Models.Tokens(2, 6);
        Tensor actual = Decoding.Run(model, tokens, [4, 1, 1], source);
        TensorAssert.Close(model.forward(new ModelInput(tokens) { Source = source }), actual, 5e-5);
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), ModelCost.Of(options, Models.Vocabulary).Parameters);
    }

    private static void Copy(LanguageModel from, LanguageModel to) => to.load_state_dict(from.state_dict());
}
