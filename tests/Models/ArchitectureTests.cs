using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

public class ArchitectureTests
{
    public static MatrixTheoryData<string, AttentionKernel> Projections() =>
        new(Models.Projections.Keys, [AttentionKernel.Reference, AttentionKernel.Flash]);

    [Theory]
    [MemberData(nameof(Projections))]
    public void Decoding_with_a_source_equals_the_full_forward(string projection, AttentionKernel kernel)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(
            Models.EncoderDecoder with { Attention = Models.Projections[projection] with { Kernel = kernel } });
        model.eval();
        Tensor tokens = Models.Tokens(2, 6);
        ModelInput source = PaddedSource();
        Tensor expected = model.forward(new ModelInput(tokens) { Source = source });
        TensorAssert.Close(expected, Decoding.Run(model, tokens, [2, 1, 3], source), 2e-5);
    }

    [Fact]
    public void Padding_of_a_source_is_not_seen()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.EncoderDecoder);
        Tensor tokens = Models.Tokens(2, 6);
        ModelInput source = PaddedSource();
        Tensor changed = source.Tokens.clone();
        changed.select(0, 1).narrow(0, 3, 2).fill_(7);
        Tensor before = model.forward(new ModelInput(tokens) { Source = source });
        TensorAssert.Same(before, model.forward(new ModelInput(tokens) { Source = source with { Tokens = changed } }));
        Tensor alone = model.forward(new ModelInput(tokens.narrow(0, 1, 1)) { Source = source.Tokens.narrow(0, 1, 1).narrow(1, 0, 3) });
        TensorAssert.Close(before.narrow(0, 1, 1), alone, 2e-5);
    }

    [Fact]
    public void A_target_reads_its_source()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.EncoderDecoder);
        Tensor tokens = Models.Tokens(1, 6);
        Assert.False(model.forward(new ModelInput(tokens) { Source = Models.Tokens(1, 5, seed: 3) })
            .Equals(model.forward(new ModelInput(tokens) { Source = Models.Tokens(1, 5, seed: 4) })));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Sequences_branch_off_from_one_another_with_a_source_and_without(bool withSource)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(withSource ? Models.EncoderDecoder : Models.Llama);
        model.eval();
        ModelInput? source = withSource ? PaddedSource() : null;
        Tensor start = Models.Tokens(2, 3), next = Models.Tokens(3, 2, seed: 9);
        using DecodingState state = model.NewDecodingState(2, 8, source);
        model.forward(start, state);
        state.Reorder([1, 1, 0]);
        Tensor actual = model.forward(next, state);
        Tensor rows = tensor([1L, 1L, 0L]);
        ModelInput whole = new(cat([start.index_select(0, rows), next], 1))
        {
            Source = source is null
                ? null
                : new(source.Tokens.index_select(0, rows)) { Documents = source.Documents!.index_select(0, rows) },
        };
        Assert.Equal(3, state.Batch);
        TensorAssert.Close(model.forward(whole).narrow(1, 3, 2), actual, 2e-5);
    }

    [Fact]
    public void An_encoder_sees_both_sides_and_does_not_generate()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Encoder);
        Tensor tokens = Models.Tokens(1, 6), changed = Models.Changed(tokens, 5);
        Assert.False(model.forward(tokens).narrow(1, 0, 1).Equals(model.forward(changed).narrow(1, 0, 1)));
        Assert.False(model.Generates);
        Assert.StartsWith("an encoder reads whole texts", Assert.Throws<UserException>(() => model.NewDecodingState(1, 4)).Message);
    }

    [Fact]
    public void Attention_maps_are_the_weights_of_every_layer()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.EncoderDecoder);
        var maps = model.AttentionMaps(new ModelInput(Models.Tokens(2, 6)) { Source = PaddedSource() });
        Assert.Equal(
            ["encoder 0 False", "encoder 1 False", "decoder 0 False", "decoder 0 True", "decoder 1 False", "decoder 1 True"],
            maps.Select(map => $"{map.Stack} {map.Layer} {map.Cross}"));
        Assert.All(maps, map => TensorAssert.Close(ones_like(map.Weights.sum(-1)), map.Weights.sum(-1), 1e-5));
        Assert.Equal([2, 4, 6, 5], maps[3].Weights.shape);
        TensorAssert.Zero(maps[3].Weights.select(0, 1).narrow(2, 3, 2));
    }

    [Fact]
    public void Combinations_that_make_no_sense_are_refused_together()
    {
        EncoderDecoderOptions options = Models.EncoderDecoder with
        {
            ParallelResidual = true,
            EncoderPattern = new CausalOptions(),
            Norm = new RmsNormOptions { Placement = NormPlacement.Sandwich },
            Attention = Models.EncoderDecoder.Attention with { Pattern = new FullOptions() },
        };
        Assert.Equal(
            ["attention.pattern", "encoderPattern", "parallelResidual", "parallelResidual"],
            Assert.Throws<ConfigurationException>(() => options.Build(Models.Vocabulary)).Problems.Select(problem => problem.Path).Order());
    }

    [Fact]
    public void A_soft_cap_bounds_logits()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel free = Models.Build(Models.Llama);
        using LanguageModel bounded = Models.Build(Models.Llama with { LogitSoftCap = 2, LogitScale = 0.5 });
        Tensor tokens = Models.Tokens(1, 8);
        TensorAssert.Close(free.forward(tokens).mul(0.5).div(2).tanh().mul(2), bounded.forward(tokens), 1e-6);
    }

    private static ModelInput PaddedSource() =>
        new(Models.Tokens(2, 5, seed: 3)) { Documents = tensor([0L, 0, 0, 0, 0, 0, 0, 0, -1, -1]).view(2, 5) };
}
