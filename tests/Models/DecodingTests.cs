using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

public class DecodingTests
{
    [Theory]
    [MemberData(nameof(Models.KernelVariants), MemberType = typeof(Models))]
    public void Any_split_into_steps_equals_the_full_forward(string projection, string position, AttentionKernel kernel)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Variant(projection, position, kernel));
        model.eval();
        Tensor tokens = Models.Tokens(2, 8), expected = model.forward(tokens);
        foreach (int[] steps in (int[][])[[8], [1, 1, 1, 1, 1, 1, 1, 1], [5, 1, 1, 1], [3, 4, 1], [1, 7]])
            TensorAssert.Close(expected, Decoding.Run(model, tokens, steps), 2e-5, $"in steps of {string.Join(", ", steps)} the result");
    }

    [Theory]
    [InlineData(new[] { 8 })]
    [InlineData(new[] { 1, 1, 1, 1, 1, 1, 1, 1 })]
    [InlineData(new[] { 5, 1, 1, 1 })]
    [InlineData(new[] { 1, 7 })]
    [InlineData(new[] { 2, 4, 2 })]
    public void A_hybrid_decodes_in_any_steps_what_it_computes_at_once(int[] steps)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Hybrid);
        model.eval();
        Tensor tokens = Models.Tokens(2, 8);
        TensorAssert.Close(model.forward(tokens), Decoding.Run(model, tokens, steps), 5e-5);
    }

    [Fact]
    public void Next_logits_are_those_of_the_last_position()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        model.eval();
        Tensor tokens = Models.Tokens(3, 6);
        using DecodingState state = model.NewDecodingState(3, 6);
        Tensor next = model.NextLogits(tokens, state);
        Assert.Equal([3, Models.Vocabulary], next.shape);
        TensorAssert.Close(model.forward(tokens).select(1, 5), next, 2e-5);
        Assert.Equal(6, state.Length);
    }

    [Fact]
    public void More_tokens_than_the_capacity_are_refused_and_nothing_is_remembered()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        using DecodingState state = model.NewDecodingState(1, 6);
        model.forward(Models.Tokens(1, 4), state);
        var failure = Assert.Throws<UserException>(() => model.forward(Models.Tokens(1, 3), state));
        Assert.Equal(
            "3 more tokens do not fit: 4 of 6 positions are taken. Shorten the prompt, ask for fewer tokens, or give decoding a larger " +
            "capacity.",
            failure.Message);
        Assert.Equal(4, state.Length);
    }

    [Fact]
    public void Learned_positions_end_and_rotary_ones_go_on()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel learned = Models.Build(Models.Gpt);
        Assert.Equal(
            "9 positions are more than the 8 this model has learned; use at most contextLength (8).",
            Assert.Throws<UserException>(() => learned.forward(Models.Tokens(1, 9))).Message);
        Assert.Throws<UserException>(() => learned.NewDecodingState(1, 9));

        using LanguageModel rotary = Models.Build(Models.Gpt with { Position = new RotaryOptions() });
        rotary.eval();
        Tensor tokens = Models.Tokens(1, 20);
        TensorAssert.Close(rotary.forward(tokens), Decoding.Run(rotary, tokens, [7, 13]), 2e-5);
    }

    [Fact]
    public void A_state_of_another_batch_size_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Gpt);
        using DecodingState state = model.NewDecodingState(2, 8);
        Assert.Throws<ArgumentException>(() => model.forward(Models.Tokens(1, 2), state));
    }

    [Fact]
    public void Training_goes_on_after_an_evaluation_in_inference_mode()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Variant("grouped-query", "rotary", AttentionKernel.Reference));
        using (inference_mode()) model.forward(Models.Tokens(2, 8));
        model.LossSum(Models.Tokens(2, 8), Models.Tokens(2, 8)).backward();
    }
}
