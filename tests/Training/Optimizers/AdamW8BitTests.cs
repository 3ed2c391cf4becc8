using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Tests;
using Trainer.Training.Optimizers;
using Trainer.Training.Plan;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Optimizers;

public sealed class AdamW8BitTests
{
    private static readonly AdamWOptions Options = new() { MomentPrecision = MomentPrecision.Int8 };

    // From Fixtures/make_blockwise.py.
    [Fact]
    public void Ten_steps_are_those_of_the_reference()
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = SafetensorsFile.Open(
            Path.Combine(AppContext.BaseDirectory, "Optimizers", "Fixtures", "blockwise.safetensors"));
        Tensor weight = fixture.Read("weight"), gradients = fixture.Read("gradients");
        BlockwiseMoments moments = BlockwiseMoments.Zero(weight);

        for (int step = 0; step < 10; step++)
        {
            using Tensor gradient = gradients[step];
            BlockwiseAdamW.Step(weight, gradient, moments, 0.01, 0.9, 0.99, 0.1, 1e-8);
        }

        TensorAssert.Close(fixture.Read("result"), weight, 2e-5);
        TensorAssert.Close(fixture.Read("average_scale"), moments.AverageScale, 1e-6);
        TensorAssert.Close(fixture.Read("square_scale"), moments.AverageSquareScale, 1e-6);
        foreach (Tensor state in (Tensor[])[moments.Average, moments.AverageScale, moments.AverageSquare, moments.AverageSquareScale,
            moments.Steps]) state.Dispose();
    }

    [Fact]
    public void Ten_steps_of_the_optimizer_are_those_of_the_reference()
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = SafetensorsFile.Open(
            Path.Combine(AppContext.BaseDirectory, "Optimizers", "Fixtures", "blockwise.safetensors"));
        AdamWOptions options = Options with { FewestNumbers = 600, Betas = [0.9, 0.99] };
        Tensor gradients = fixture.Read("gradients");
        Parameter weight = new(fixture.Read("weight").view(20, 30).clone()); // a matrix, whose weights decay
        using Optimizer optimizer = options.Build([("w", weight)]);

        for (int step = 0; step < 10; step++)
        {
            weight.grad = gradients[step].view(20, 30);
            optimizer.Step(0.01, tensor(0f));
        }

        TensorAssert.Close(fixture.Read("result"), weight.detach().view(-1), 2e-5);
        Dictionary<string, Tensor> state = optimizer.State.ToDictionary(entry => entry.Name, entry => entry.Value);
        TensorAssert.Close(fixture.Read("average_scale"), state["w.exp_avg_scale"], 1e-6);
        TensorAssert.Close(fixture.Read("square_scale"), state["w.exp_avg_sq_scale"], 1e-6);
    }

    // What all optimizers must pass would otherwise be passed by float32 alone.
    [Fact]
    public void The_run_of_the_shared_tests_saves_moments_in_bytes()
    {
        using TinyRun tiny = new();
        tiny.Recipe = tiny.Recipe with { Optimizer = Optimizers.All["adamw-8bit"] };
        tiny.Train();

        using SafetensorsFile saved = SafetensorsFile.Open(Path.Combine(tiny.Store().DirectoryOf(12), CheckpointFiles.Optimizer));
        string[] averages = [.. saved.Names.Where(name => name.StartsWith("blocks.") && name.EndsWith(".exp_avg"))];

        Assert.NotEmpty(averages);
        Assert.All(averages, name => Assert.Equal(ScalarType.Byte, saved.Info(name).Type));
    }

    [Fact]
    public void Matrices_are_kept_in_8_bits_and_small_tensors_and_embeddings_in_float32()
    {
        using DisposeScope scope = NewDisposeScope();
        (string, Parameter)[] parameters =
            [("w", new(randn(64, 80))), ("embedding", new(randn(100, 64))), ("head", new(randn(100, 64))), ("small", new(randn(8, 8)))];

        using Optimizer optimizer = Options.Build(parameters, layout: Optimizers.LayoutOf(["w", "embedding", "head", "small"]));

        Assert.Equal(
            [
                "8-bit moments, weight decay 0.1: 2 tensors, 11,520 parameters", "weight decay 0.1: 2 tensors, 6,464 parameters",
                "no weight decay: 0 tensors, 0 parameters",
            ],
            optimizer.Description);
        Dictionary<string, Tensor> state = optimizer.State.ToDictionary(entry => entry.Name, entry => entry.Value);
        Assert.Equal((ScalarType.Byte, ScalarType.Float32), (state["w.exp_avg"].dtype, state["embedding.exp_avg"].dtype));
        Assert.Equal([20L], state["w.exp_avg_scale"].shape);
    }

    [Fact]
    public void A_model_learns_as_with_moments_of_float32_and_plan_counts_the_bytes()
    {
        using TinyRun small = new(dropout: 0);
        small.Recipe = small.Recipe with
        {
            Model = (DecoderOptions)small.Recipe.Model with { Dim = 64 },
            Training = small.Recipe.Training with { Steps = 40 },
            Evaluation = small.Recipe.Evaluation with { Every = 0 },
        };
        RecordingSink sink = new(), reference = new();
        small.Train("float32", sink: reference);
        long bytes = StateBytes(small);
        small.Recipe = small.Recipe with { Optimizer = Options with { LearningRate = small.Recipe.Optimizer.LearningRate } };
        small.Train("int8", sink: sink);

        Assert.Equal(reference.Evaluations[^1].ValidationLoss, sink.Evaluations[^1].ValidationLoss, 0.03);
        Assert.NotEqual(reference.Evaluations[^1].ValidationLoss, sink.Evaluations[^1].ValidationLoss);
        // Blocks have 2 × (4·64² + 3·64·256) numbers and 6 less bytes for each; the embedding keeps its 8.
        Assert.InRange(bytes - StateBytes(small), 5.8 * 2 * (4 * 64 * 64 + 3 * 64 * 170), 6 * 2 * (4 * 64 * 64 + 3 * 64 * 192));

        static long StateBytes(TinyRun run) => RunPlan.Of(run.Recipe, Path.Combine(run.Root, "datasets")).StateBytes;
    }
}
