using TorchSharp;
using Trainer.Models.FeedForward.Experts;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.FeedForward.Experts;

/// <summary>Experts as layers of a whole model.</summary>
public class ExpertsModelTests
{
    private static readonly DecoderOptions Sparse = Models.Llama with { FeedForward = Models.FeedForwards["experts-shared"] };

    [Fact]
    public void Decoding_equals_the_full_forward_whatever_is_decoded_beside()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Sparse);
        model.eval();
        Tensor tokens = Models.Tokens(2, 8), expected = model.forward(tokens);
        foreach (int rows in (int[])[1, 2])
        {
            using DecodingState state = model.NewDecodingState(rows, 8);
            for (int position = 0; position < 8; position++)
                TensorAssert.Close(
                    expected.narrow(0, 0, rows).narrow(1, position, 1),
                    model.forward(tokens.narrow(0, 0, rows).narrow(1, position, 1), state), 2e-5);
        }
        Assert.All(model.Experts(), layer => Assert.Equal(0, layer.Tokens.Sum()));
    }

    [Fact]
    public void Names_and_shapes_of_the_state_are_those_that_other_families_convert_to()
    {
        using LanguageModel model = (Sparse with { Layers = 1 }).Build(Models.Vocabulary);
        Assert.Equal(
            """
            blocks.0.feedForward.router.weight 6x16
            blocks.0.feedForward.experts.gateUp 6x20x16
            blocks.0.feedForward.experts.down 6x16x10
            blocks.0.feedForward.shared.gateUp.weight 20x16
            blocks.0.feedForward.shared.down.weight 16x10
            blocks.0.feedForward.router.balance 6
            """,
            string.Join('\n', model.state_dict().Where(entry => entry.Key.Contains("feedForward.")).Select(
                entry => $"{entry.Key} {string.Join('x', entry.Value.shape)}")));
        Assert.DoesNotContain(model.named_parameters(), entry => entry.name.EndsWith("balance"));
    }

    [Fact]
    public void Experts_begin_as_other_layers_do()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = (Models.Llama with { Dim = 64, Layers = 8, FeedForward = new ExpertsOptions { Bias = true } }).Build(
            Models.Vocabulary);
        foreach (var (name, parameter) in model.named_parameters().Where(entry => entry.name.Contains("feedForward.experts")))
        {
            if (name.EndsWith("Bias")) Assert.True(parameter.eq(0).all().item<bool>(), name);
            else Assert.Equal(name.EndsWith("down") ? 0.02 / 4 : 0.02, parameter.reshape(-1).std(0).item<float>(), 0.0006);
        }
    }

    [Fact]
    public void The_loss_that_is_evaluated_is_the_cross_entropy_alone()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor tokens = Models.Tokens(2, 8), targets = Models.Tokens(2, 8, seed: 3);
        float Loss(double coefficient)
        {
            ExpertsOptions experts =
                new() { HiddenDim = 8, Balance = new LossBalanceOptions { Coefficient = coefficient }, RouterZLoss = coefficient };
            using LanguageModel model = Models.Build(Models.Llama with { FeedForward = experts });
            return model.LossSum(tokens, targets).item<float>();
        }
        Assert.Equal(Loss(0), Loss(10));
    }

    [Fact]
    public void Both_stacks_of_an_encoder_decoder_report_their_own_load_and_add_to_the_objective()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(
            Models.EncoderDecoder with { Layers = 1, FeedForward = new ExpertsOptions { HiddenDim = 8 } });
        Tensor padding = tensor([0L, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1], [2, 6]);
        ModelInput input = new(Models.Tokens(2, 8)) { Source = new(Models.Tokens(2, 6)) { Documents = padding } };
        Assert.NotNull(model.Losses(input, Models.Tokens(2, 8)).Auxiliary);
        model.EndStep(zeros([]));
        Assert.Equal(
            [("encoder.blocks.0.feedForward", 9 * 2L), ("decoder.blocks.0.feedForward", 16 * 2L)],
            model.Experts().Select(layer => (layer.Layer, layer.Tokens.Sum())));
        model.eval();
        Assert.Null(model.Losses(input, Models.Tokens(2, 8)).Auxiliary);
    }

    [Fact]
    public void Padding_of_a_decoder_s_rows_is_no_load_and_changes_no_loss_but_the_routers()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(
            Models.EncoderDecoder with { Layers = 1, FeedForward = new ExpertsOptions { HiddenDim = 8 } });
        Tensor targets = Models.Tokens(2, 8, seed: 3);
        ModelInput full = new(Models.Tokens(2, 8)) { Source = new(Models.Tokens(2, 6)) };
        LossTerms plain = model.Losses(full, targets);
        model.EndStep(zeros([]));
        LossTerms padded = model.Losses(full with { Lengths = [8, 5] }, targets);
        model.EndStep(zeros([]));
        TensorAssert.SameBits(plain.CrossEntropy, padded.CrossEntropy);
        TensorAssert.Apart(plain.Auxiliary!, padded.Auxiliary!, 0);
        Assert.Equal([12 * 2L, 13 * 2L], model.Experts().Select(layer => layer.Tokens.Sum()));
    }
}
