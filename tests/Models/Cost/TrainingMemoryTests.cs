using TorchSharp;
using Trainer.Models.Adapters;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Cost;

public class TrainingMemoryTests
{
    private const int Vocabulary = 300, Rows = 8, Length = 128;

    private static readonly DecoderOptions Model = Models.Llama with { Dim = 128, Layers = 2, ContextLength = 4 * Length };

    // Bytes of the residual stream (B, T, C).
    private const long Stream = sizeof(float) * (long)Rows * Length * 128;

    [Fact]
    public void Each_layer_adds_as_much()
    {
        long Activations(int layers) => Measure(Model with { Layers = layers }).Activations;
        long two = Activations(2), four = Activations(4), eight = Activations(8);
        Near(2 * (four - two), eight - four);
        Assert.InRange(four - two, 2 * 8 * Stream, 2 * 40 * Stream);
    }

    [Fact]
    public void A_block_that_is_run_again_keeps_one_tensor_of_the_stream()
    {
        TrainingShape shape = new() { ActivationCheckpointing = true };
        long Activations(int layers) => Measure(Model with { Layers = layers }, shape: shape).Activations;
        Near(4 * Stream, Activations(12) - Activations(8));
    }

    [Fact]
    public void Rows_that_are_not_measured_count_like_those_that_are() =>
        Near(4 * Measure(Model).Activations, Measure(Model, rows: 4 * Rows).Activations);

    [Theory]
    [InlineData(AttentionKernel.Flash, 1.9, 2.1)]
    [InlineData(AttentionKernel.Reference, 2.5, 4)]
    public void The_reference_kernel_takes_memory_that_grows_with_the_square_of_the_length(
        AttentionKernel kernel, double least, double most)
    {
        DecoderOptions model = Model with { Layers = 8, Attention = Model.Attention with { Kernel = kernel } };
        double once = Measure(model, length: 2 * Length).Activations, twice = Measure(model, length: 4 * Length).Activations;
        Assert.InRange(twice / once, least, most);
    }

    [Fact]
    public void Half_as_much_to_read_takes_half_of_the_encoders_memory()
    {
        EncoderDecoderOptions model = Models.EncoderDecoder with { Dim = 128, Layers = 8, ContextLength = Length };
        long Activations(int target, int source) => Measure(model, length: target, source: source).Activations;
        long both = Activations(Length, Length);
        long encoder = both - Activations(Length, Length / 2), decoder = both - Activations(Length / 2, Length);
        Assert.InRange(encoder, 0.3 * both / 2, 0.5 * both / 2);
        Assert.InRange(decoder, encoder, 0.6 * both); // it attends to what was read besides
    }

    [Fact]
    public void Experts_take_as_much_for_rows_with_padding()
    {
        DecoderOptions model = Model with { FeedForward = new ExpertsOptions { HiddenDim = 128 } };
        long padded = Measure(model, lengths: [.. Enumerable.Range(1, Rows).Select(row => row * Length / Rows)]).Activations;
        Near(Measure(model).Activations, padded);
    }

    [Fact]
    public void A_large_vocabulary_follows_from_smaller_ones()
    {
        DecoderOptions model = Model with { Layers = 1 };
        TrainingMemory of = Measure(model, vocabulary: 1 << 18);
        // The gradient of the table, which comes with the loss, and few logits.
        long table = sizeof(float) * (1L << 18) * model.Dim;
        Assert.InRange(of.Activations, table, table + (256L << 18) * sizeof(float) * 5 / 4);
    }

    [Fact]
    public void Threads_have_gradients_of_their_own()
    {
        ModelCost cost = ModelCost.Of(Model, Vocabulary);
        TrainingState State(int threads, bool accumulates) => TrainingState.Of(cost, new() { Threads = threads,
            Accumulates = accumulates });
        long weights = sizeof(float) * cost.Parameters;
        Assert.Equal(new(weights, 2 * weights, weights), State(1, false));
        Assert.Equal(new(weights, 2 * weights, weights), State(1, true));
        Assert.Equal(new(weights, 2 * weights, 2 * weights), State(2, false));
        Assert.Equal(new(weights, 2 * weights, 4 * weights), State(2, true));
    }

    [Fact]
    public void Weights_that_stay_have_no_gradients_and_no_moments()
    {
        DecoderOptions model = Model with { Dim = 256 };
        AdapterCost adapter = AdapterCost.Of(model, Vocabulary, new LoraOptions { Rank = 4, Targets = ["query"] });
        // A (4, 256) and B (256, 4) in two layers.
        Assert.Equal((4 * 512 * 2, 4 * 512 * 2), (adapter.Added, adapter.Trained));
        long weights = sizeof(float) * ModelCost.Of(model, Vocabulary).Parameters, trained = sizeof(float) * adapter.Trained;
        TrainingShape shape = new() { Adapter = adapter };
        Assert.Equal(new(weights + trained, 2 * trained, trained), TrainingState.Of(ModelCost.Of(model, Vocabulary), shape));
        TrainingMemory full = Measure(model, rows: 2), adapted = Measure(model, rows: 2, shape: shape);
        // Moments are gone for certain; gradients come as activations go.
        Assert.InRange(full.Peak - adapted.Peak, 1.8 * weights, 3.2 * weights);
    }

    private static void Near(long expected, long actual) => Assert.InRange((double)actual / expected, 0.9, 1.1);

    private static TrainingMemory Measure(
        ModelOptions model, int rows = Rows, int length = Length, int? source = null, int vocabulary = Vocabulary,
        TrainingShape? shape = null, int[]? lengths = null)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor Ids(int columns) => randint(0, vocabulary, [rows, columns], dtype: ScalarType.Int64);
        Tensor tokens = Ids(length);
        ModelInput input = new(tokens) { Lengths = lengths, Source = source is { } read ? new(Ids(read)) : null };
        return TrainingMemory.Measure(model, vocabulary, shape ?? new(), input, tokens);
    }
}
